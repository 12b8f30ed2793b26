//! A list that is short: most backends have one check, and most checks serve one backend.

/// Keeps a single item in place, in two words; only more of them take memory of their own.
#[derive(Clone, Debug)]
pub(crate) enum Few<T> {
    One(T),
    Many(Box<[T]>),
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::Many(Box::default())
    }
}

impl<T: Copy + Eq> Few<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }

    /// Adds `item` at the end.
    pub(crate) fn push(&mut self, item: T) {
        *self = self.as_slice().iter().copied().chain([item]).collect();
    }

    /// Takes `item` out, if it is there; the others keep their order.
    pub(crate) fn remove(&mut self, item: T) {
        *self = self.as_slice().iter().copied().filter(|&other| other != item).collect();
    }
}

impl<T: Copy> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter().peekable();
        match (items.next(), items.peek()) {
            (Some(only), None) => Self::One(only),
            (first, _) => Self::Many(first.into_iter().chain(items).collect()),
        }
    }
}
