//! A compiled filter.

use std::io;
use std::ops::ControlFlow;

use jaq_core::compile::Undefined;
use jaq_core::load::parse::Def;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::native::Fun;
use jaq_core::{Compiler, Ctx, Filter, Vars, data};
use jaq_json::{Val, read, write};
use serde_json::value::RawValue;

use super::Rejected;
use super::json::to_json;
use super::message::Header;
use crate::render::clip;

type Data = data::JustLut<Val>;

/// What jq has and a filter here has not: it would end the process, or write past the terminal's owner.
const LEFT_OUT: [&str; 8] = [
    "halt",
    "halt_error",
    "stderr",
    "stderr_empty",
    "debug",
    "debug_empty",
    "input_filename",
    "repl",
];

/// The items of a shorter list, in bytes, are not taken one by one: compiling what runs on them would take longer.
const LONG: usize = 1 << 20;

pub(super) struct Program {
    text: String,
    /// The variables that it names, with their `$`.
    names: Vec<String>,
    filter: Filter<Data>,
}

impl Program {
    /// # Errors
    ///
    /// The filter is not in jq's language, or names a function or variable that does not exist.
    pub fn compile(header: &Header) -> Result<Self, Rejected> {
        let text = header.filter.as_str();
        let names = names(header);
        let is_kept = |name: &str| !LEFT_OUT.contains(&name);
        let defs = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .chain(ours())
            .filter(|def: &Def| is_kept(def.name));
        let funs = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs())
            .filter(|fun: &Fun<Data>| is_kept(fun.0));
        let arena = Arena::default();
        let file = File {
            code: text,
            path: (),
        };
        let modules = Loader::new(defs).load(&arena, file);
        let modules = modules.map_err(|errors| {
            let error = errors.into_iter().next().map(|(_, error)| error);
            error.map_or_else(|| unexplained(text), |error| of_loading(text, error))
        })?;
        let globals = names.iter().map(String::as_str);
        let filter = Compiler::default()
            .with_funs(funs)
            .with_global_vars(globals)
            .compile(modules);
        let filter = filter.map_err(|errors| {
            let mut errors = errors.into_iter().flat_map(|(_, errors)| errors);
            let error = errors.next();
            error.map_or_else(|| unexplained(text), |error| undefined(text, error))
        })?;
        Ok(Self {
            text: text.to_owned(),
            names,
            filter,
        })
    }

    /// Whether this is what the filter of `header` compiles to.
    pub fn is(&self, header: &Header) -> bool {
        self.text == header.filter && self.names.iter().eq(names(header).iter())
    }

    /// Runs it on `input`, a value as JSON. Writes each output and a line break to `lines`, and goes on for as long as
    /// `go_on` wants, which may empty `lines`. Returns why there are no more outputs, if it failed.
    ///
    /// # Errors
    ///
    /// Those of `go_on`.
    pub fn run(
        &self,
        header: &Header,
        input: &[u8],
        lines: &mut Vec<u8>,
        mut go_on: impl FnMut(&mut Vec<u8>) -> ControlFlow<io::Result<()>>,
    ) -> io::Result<Option<String>> {
        let globals = header.variables.values().map(|value| {
            let value = read::parse_single(value.get().as_bytes());
            value.unwrap_or_default()
        });
        let globals: Vec<Val> = globals.collect();
        let ended = match self.of_items(header, input) {
            Some((of_items, items)) => items.into_iter().try_for_each(|item| {
                of_items.value(&globals, item.get().as_bytes(), lines, &mut go_on)
            }),
            None => self.value(&globals, input, lines, &mut go_on),
        };
        match ended {
            ControlFlow::Continue(()) => Ok(None),
            ControlFlow::Break(ended) => ended,
        }
    }

    /// What this runs on each item of a long list, and the items, if it is `.[] | …`: it then needs no more memory than for
    /// the largest item, and far less time than for all of them at once.
    fn of_items<'a>(&self, header: &Header, input: &'a [u8]) -> Option<(Self, Vec<&'a RawValue>)> {
        let rest = of_items(&self.text).filter(|_| input.len() >= LONG)?;
        let items = serde_json::from_slice(input).ok()?;
        let of_items = Header {
            filter: rest.to_owned(),
            variables: header.variables.clone(),
            input: None,
        };
        Some((Self::compile(&of_items).ok()?, items))
    }

    /// Runs it on one value. Breaks with the result of [`Program::run`] if that is the end.
    fn value(
        &self,
        globals: &[Val],
        input: &[u8],
        lines: &mut Vec<u8>,
        go_on: &mut impl FnMut(&mut Vec<u8>) -> ControlFlow<io::Result<()>>,
    ) -> ControlFlow<io::Result<Option<String>>> {
        let failed = |why: String| ControlFlow::Break(Ok(Some(why)));
        let value = match read::parse_single(input) {
            Ok(value) => value,
            Err(error) => return failed(format!("its input is not JSON: {error}")),
        };
        let context = Ctx::<Data>::new(&self.filter.lut, Vars::new(globals.to_vec()));
        for output in self.filter.id.run((context, value)) {
            match output.map_err(|exception| exception.get_err()) {
                Ok(value) => match to_json(value) {
                    Ok(value) => {
                        if let Err(error) = write::write(lines, &write::Pp::default(), 0, &value) {
                            return ControlFlow::Break(Err(error));
                        }
                    }
                    Err(why) => return failed(why),
                },
                Err(Ok(error)) => return failed(error.to_string()),
                Err(Err(_)) => return failed("it has stopped".to_owned()),
            }
            lines.push(b'\n');
            if let ControlFlow::Break(result) = go_on(lines) {
                return ControlFlow::Break(result.map(|()| None));
            }
        }
        ControlFlow::Continue(())
    }
}

/// What a filter of the form `.[] | REST` runs on each item. The bar binds weaker than all else in jq, so that `REST` is
/// a filter of its own.
fn of_items(filter: &str) -> Option<&str> {
    let rest = filter.trim_start().strip_prefix(".[]")?;
    let rest = rest.trim_start().strip_prefix('|')?;
    (!rest.starts_with('=')).then_some(rest)
}

/// What jaq's libraries lack of jq's.
fn ours() -> impl Iterator<Item = Def> {
    let defs = load::parse(include_str!("defs.jq"), |parser| parser.defs());
    defs.into_iter().flatten()
}

/// The variables of the job, as jq spells them.
fn names(header: &Header) -> Vec<String> {
    let names = header.variables.keys();
    names.map(|name| format!("${name}")).collect()
}

/// Where `part`, a slice of `text`, is in it.
fn offset(text: &str, part: &str) -> usize {
    let at = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
    at.filter(|at| *at <= text.len()).unwrap_or(0)
}

fn of_loading(text: &str, error: load::Error<&str>) -> Rejected {
    let at = |part: &str, message: String| {
        let start = offset(text, part);
        // It may be all of the rest; the first word is enough.
        let length = part.find(char::is_whitespace).unwrap_or(part.len());
        Rejected {
            message,
            span: start..start + length,
        }
    };
    match error {
        load::Error::Lex(errors) => match errors.into_iter().next() {
            Some((expected, part)) => {
                let found = clip(part.split_whitespace().next().unwrap_or("the end"));
                at(
                    part,
                    format!("expected {}, found `{found}`", expected.as_str()),
                )
            }
            None => unexplained(text),
        },
        load::Error::Parse(errors) => match errors.into_iter().next() {
            Some((expected, part)) => {
                let found = match part.trim() {
                    "" => "the end".to_owned(),
                    part => format!("`{}`", clip(part)),
                };
                at(
                    part,
                    format!(
                        "expected {} in the filter, found {found}",
                        expected.as_str()
                    ),
                )
            }
            None => unexplained(text),
        },
        load::Error::Io(errors) => match errors.into_iter().next() {
            Some((part, error)) => at(part, error),
            None => unexplained(text),
        },
    }
}

fn undefined(text: &str, (part, what): (&str, Undefined)) -> Rejected {
    let start = offset(text, part);
    let name = clip(part);
    Rejected {
        message: match what {
            Undefined::Filter(arity) => format!("jq has no function `{name}/{arity}`"),
            what => format!("there is no {} `{name}`", what.as_str()),
        },
        span: start..start + part.len(),
    }
}

fn unexplained(text: &str) -> Rejected {
    Rejected {
        message: "this is not a filter".to_owned(),
        span: 0..text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_the_items_of_a_list_is_told_from_others() {
        assert_eq!(of_items(".[] | .a, .b"), Some(" .a, .b"));
        assert_eq!(of_items(" .[]|.a | .b"), Some(".a | .b"));
        for other in [
            ".[] |= .a",
            ".[]",
            ".[].a | .b",
            ".[0] | .a",
            ".[]? | .a",
            "[.[] | .a]",
        ] {
            assert_eq!(of_items(other), None, "{other}");
        }
    }
}
