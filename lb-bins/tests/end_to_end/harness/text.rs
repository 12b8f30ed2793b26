//! Pieces of configuration.

use std::fmt::{Display, Write as _};

use super::{Backend, Port};

/// A check that is quick to notice, but never fails only because the machine is slow.
pub(crate) const QUICK_CHECK: &str = r#"
check = { type = "tcp", interval = "100ms", fast_interval = "50ms", timeout = "20s", rise = 1, fall = 2 }
"#;

/// No check: always up.
pub(crate) const UNCHECKED: &str = "";

/// A virtual server; `rest` are its other keys.
pub(crate) fn server(name: &str, listen: &Port, rest: &[&str]) -> String {
    format!("\n[[virtual_server]]\nname = \"{name}\"\nlisten = \"{listen}\"\n{}\n", rest.join("\n"))
}

/// The key `backend`, with weights.
pub(crate) fn backends<'a>(list: impl IntoIterator<Item = (&'a Backend, u16)>) -> String {
    backends_with(list.into_iter().map(|(backend, weight)| (backend, format!("weight = {weight}"))))
}

/// The key `backend`, with other keys.
pub(crate) fn backends_with<'a>(
    list: impl IntoIterator<Item = (&'a Backend, impl Display)>,
) -> String {
    let mut text = "backend = [\n".to_owned();
    for (backend, keys) in list {
        let address = backend.address();
        writeln!(text, "    {{ address = \"{address}\", {keys} }},").unwrap();
    }
    text + "]"
}
