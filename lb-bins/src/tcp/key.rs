//! Which virtual server it is about.

/// Tells the virtual servers of this process apart, over every rename; never issued twice.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ServerKey(u32);

impl ServerKey {
    /// The key with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }
}
