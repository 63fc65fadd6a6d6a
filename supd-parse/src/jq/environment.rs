//! `$ENV` and `env`: the environment, but for our own settings, which can be secrets.

use jaq_json::Val;

/// The addresses and passwords of supd-notify are in its environment, and it shares that with the whole pipeline.
const OURS: &str = "SUPD_";

/// The variables as an object.
pub(super) fn value() -> Val {
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| !name.starts_with(OURS))?;
        Some((Val::from(name), Val::from(value.to_string_lossy().into_owned())))
    });
    Val::obj(variables.collect())
}
