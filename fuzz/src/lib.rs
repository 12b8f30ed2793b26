//! What the targets share: how one is entered.

#[doc(hidden)]
pub use arbitrary;
#[cfg(feature = "fuzzer")]
#[doc(hidden)]
pub use libfuzzer_sys;

/// One target: `target!(|input: Type| …)`, where `Type` is [`arbitrary::Arbitrary`].
///
/// In a fuzzing build it is libFuzzer's. In any other it replays the files that it is given, so
/// that a finding can be looked into with an ordinary debugger and an ordinary compiler.
#[macro_export]
macro_rules! target {
    (|$input:ident: $kind:ty| $check:expr) => {
        #[cfg(feature = "fuzzer")]
        $crate::libfuzzer_sys::fuzz_target!(|$input: $kind| $check);

        #[cfg(not(feature = "fuzzer"))]
        fn main() -> std::io::Result<()> {
            $crate::replay(|$input: $kind| $check)
        }
    };
}

/// Runs `check` over what each file named on the command line decodes to.
///
/// # Errors
/// A file cannot be read.
pub fn replay<T: for<'a> arbitrary::Arbitrary<'a>>(check: impl Fn(T)) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        let bytes = std::fs::read(&path)?;
        match T::arbitrary_take_rest(arbitrary::Unstructured::new(&bytes)) {
            Ok(input) => check(input),
            Err(error) => eprintln!("{}: {error}", path.display()),
        }
    }
    Ok(())
}
