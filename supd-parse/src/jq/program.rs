//! The text of a filter, compiled. Nothing but the text is read: no modules, no data of other files.

use jaq_core::data::JustLut;
use jaq_core::load::parse::Def;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, native};
use jaq_json::Val;

use super::{complaint, functions};

/// What filters work with: nothing but their input and variables.
pub(super) type Data = JustLut<Val>;

/// A compiled filter.
pub(super) type Filter = jaq_core::Filter<Data>;

const OWN: &str = include_str!("definitions.jq");

/// Compiles a filter that knows these variables, each with its `$`.
///
/// # Errors
/// Where it makes no sense, and why, on one line.
pub(super) fn compile(code: &str, variables: &[String]) -> Result<Filter, String> {
    let arena = Arena::default();
    let modules =
        Loader::new(definitions()).load(&arena, File { code, path: () }).map_err(complaint::load)?;
    load::import(&modules, |_| Err("data loading not supported".to_owned())).map_err(complaint::load)?;
    Compiler::default()
        .with_funs(functions())
        .with_global_vars(variables.iter().map(String::as_str))
        .compile(modules)
        .map_err(|errors| complaint::compile(errors, &is_defined))
}

fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let own = load::parse(OWN, |parser| parser.defs()).expect("our definitions are in order");
    jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(own)
}

fn functions() -> impl Iterator<Item = native::Fun<Data>> {
    let theirs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let own: Vec<functions::Function> = functions::all();
    let names: Vec<&str> = own.iter().map(|(name, ..)| *name).collect();
    let theirs = theirs.filter(move |(name, ..)| !names.contains(name));
    theirs.chain(own.into_iter().map(|function| native::run::<Data>(function)))
}

/// Whether there is a filter of this name, with whatever arguments.
fn is_defined(name: &str) -> bool {
    definitions().any(|definition| definition.name == name) || functions().any(|(known, ..)| known == name)
}
