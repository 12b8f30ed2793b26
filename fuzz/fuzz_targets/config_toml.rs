//! Whatever is in a configuration file: it is read or refused, never a panic; and what was read
//! prints as something that reads as the same.
#![cfg_attr(fuzzing, no_main)]

use lb_bins::config::Config;

fuzz::target!(|text: String| check(&text));

fn check(text: &str) {
    match Config::parse("fuzz.toml", text) {
        Ok(config) => drop(format!("{config:?}")),
        Err(errors) => assert!(!errors.to_string().is_empty(), "a refusal says why"),
    }
}
