//! Whatever is in a keepalived.conf: it is read or refused with a reason, never a panic and never
//! without end; and what was read prints as TOML that reads as the same.
#![cfg_attr(feature = "fuzzer", no_main)]

use lb_bins::config::Config;

fuzz::target!(|text: String| check(&text));

fn check(text: &str) {
    match Config::parse_keepalived("fuzz.conf", text, "main") {
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
