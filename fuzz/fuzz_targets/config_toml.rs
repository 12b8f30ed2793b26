//! Whatever is in a configuration file: it is read or refused with a reason, never a panic; and
//! what was read prints as something that reads as the same.
#![cfg_attr(feature = "fuzzer", no_main)]

use lb_bins::config::Config;

fuzz::target!(|text: String| check(&text));

fn check(text: &str) {
    match Config::parse("fuzz.toml", text) {
        Ok(config) => {
            let printed = config.to_string();
            assert_eq!(Config::parse("printed.toml", &printed).as_ref(), Ok(&config), "{printed}");
        }
        Err(errors) => {
            assert!(!errors.mistakes().is_empty());
            assert!(!errors.to_string().is_empty());
        }
    }
}
