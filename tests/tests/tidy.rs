//! House style that no compiler checks: what a file begins with, how long things are, which words are not used.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a file may have, its tests not counted.
const LONGEST_FILE: usize = 800;

/// Lines that a function may have without an `#[expect]` that says why.
const LONGEST_FUNCTION: usize = 100;

/// A thing without a name has no home yet.
const NO_HOMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "types", "manager", "misc"];

/// Names that say nothing.
const NO_NAMES: &[&str] = &["Manager", "Service", "Impl", "Helper"];

/// One source file.
struct Source {
    path: PathBuf,
    text: String,
}

/// One function: where it begins, and how many lines it has.
struct Function {
    line: usize,
    length: usize,
    excused: bool,
}

#[test]
fn every_file_says_first_what_it_is_for() {
    check("does not begin with a `//!` line", |source| {
        let first = source.text.lines().next().unwrap_or_default();
        let crate_doc = first.starts_with("#![doc = include_str!(");
        (!first.starts_with("//! ") && !crate_doc).then_some(1)
    });
}

#[test]
fn no_file_is_endless() {
    check("is too long without its tests", |source| {
        let lines = source.shipped().len();
        (lines > LONGEST_FILE).then_some(lines)
    });
}

#[test]
fn no_function_is_endless() {
    check("holds a function that is too long", |source| {
        let long = |function: &Function| function.length > LONGEST_FUNCTION && !function.excused;
        source.functions().into_iter().filter(long).map(|function| function.line).collect::<Vec<_>>()
    });
}

#[test]
fn no_module_is_a_drawer() {
    check("is named after nothing", |source| {
        let named = source.path.with_extension("");
        let drawer = named.iter().any(|part| part.to_str().is_some_and(|part| NO_HOMES.contains(&part)));
        drawer.then_some(1)
    });
}

#[test]
fn no_type_is_named_after_nothing() {
    check("defines a type whose name says nothing", |source| {
        source.lines_where(|line| {
            let mut words =
                line.trim_start().trim_start_matches("pub ").split(|c: char| !c.is_alphanumeric());
            let defines = matches!(words.next(), Some("struct" | "enum" | "trait" | "type"));
            // `CallService` is the name of the seam itself, `type Service` belongs to tower.
            let name = words.next().unwrap_or_default();
            defines && name != "CallService" && NO_NAMES.iter().any(|bad| name != *bad && name.ends_with(bad))
        })
    });
}

#[test]
fn nothing_is_left_for_later() {
    // Written in two pieces, so that this file does not find itself.
    let marks =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["dbg", "!("].concat(), ["XX", "X:"].concat()];
    check("holds a mark of unfinished work", |source| {
        source.lines_where(|line| marks.iter().any(|mark| line.contains(mark.as_str())))
    });
}

#[test]
fn exceptions_to_lints_say_why() {
    let allow = ["#[", "allow("].concat();
    let allow_all = ["#![", "allow("].concat();
    check("allows a lint instead of expecting it with a reason", |source| {
        source.lines_where(|line| {
            line.trim_start().starts_with(&allow) || line.trim_start().starts_with(&allow_all)
        })
    });
}

#[test]
fn getters_are_named_after_what_they_give() {
    let prefix = ["fn ge", "t_"].concat();
    check("names a function `get_…`", |source| source.lines_where(|line| line.contains(&prefix)));
}

#[test]
fn every_crate_has_a_readme_that_is_its_doc() {
    let mut wrong = Vec::new();
    for folder in [root().join("crates"), root().join("bins")] {
        for entry in fs::read_dir(folder).unwrap() {
            let dir = entry.unwrap().path();
            let readme = fs::read_to_string(dir.join("README.md")).unwrap_or_default();
            let lib = fs::read_to_string(dir.join("src/lib.rs")).unwrap_or_default();
            if readme.is_empty() {
                wrong.push(format!("{} has no README.md", dir.display()));
            }
            if !lib.contains(r#"#![doc = include_str!("../README.md")]"#) {
                wrong.push(format!("{}: README.md is not the crate doc", dir.display()));
            }
            if !readme.contains("```") && dir.parent().is_some_and(|dir| dir.ends_with("crates")) {
                wrong.push(format!("{}: README.md has no example", dir.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_shape_is_reported() {
    let sources: Vec<Source> = sources().into_iter().filter(|source| !source.is_test()).collect();
    let files: Vec<usize> = sources.iter().map(|source| source.shipped().len()).collect();
    let functions: Vec<usize> =
        sources.iter().flat_map(Source::functions).map(|function| function.length).collect();
    println!(
        "{} lines; {} files: median {}, p90 {}, longest {}; {} functions: median {}, p90 {}, longest {}",
        files.iter().sum::<usize>(),
        files.len(),
        percentile(&files, 50),
        percentile(&files, 90),
        percentile(&files, 100),
        functions.len(),
        percentile(&functions, 50),
        percentile(&functions, 90),
        percentile(&functions, 100),
    );
}

/// Reports every line that `find` finds in any source file.
fn check<I: IntoIterator<Item = usize>>(what: &str, find: impl Fn(&Source) -> I) {
    let wrong: Vec<String> = sources()
        .iter()
        .flat_map(|source| {
            let place = move |line| format!("{}:{line}", source.path.display());
            find(source).into_iter().map(place).collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

// === impl Source ===

impl Source {
    fn is_test(&self) -> bool {
        let parts = self.path.iter().filter_map(|part| part.to_str());
        parts
            .into_iter()
            .any(|part| ["tests", "benches", "tests.rs"].contains(&part) || part.ends_with("_tests.rs"))
    }

    /// The lines without modules that only tests compile.
    fn shipped(&self) -> Vec<&str> {
        let mut lines = self.text.lines().peekable();
        let mut kept = Vec::new();
        while let Some(line) = lines.next() {
            if line.trim_start() != "#[cfg(test)]" {
                kept.push(line);
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            let opens = lines.next().is_some_and(|next| next.trim_end().ends_with('{'));
            if opens {
                lines.by_ref().find(|next| *next == format!("{}}}", " ".repeat(indent)));
            }
        }
        kept
    }

    fn lines_where(&self, bad: impl Fn(&str) -> bool) -> Vec<usize> {
        (1..).zip(self.text.lines()).filter(|(_, line)| bad(line)).map(|(at, _)| at).collect()
    }

    fn functions(&self) -> Vec<Function> {
        let lines = self.shipped();
        let mut found = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            if !is_function(line) {
                continue;
            }
            let indent = " ".repeat(line.len() - line.trim_start().len());
            // The head may take several lines; one that ends in `;` or `}` first has no body to measure.
            let head = lines.iter().skip(at).position(|line| line.ends_with(['{', '}', ';']));
            let Some(open) = head.map(|offset| at + offset) else { continue };
            if !lines.get(open).is_some_and(|line| line.ends_with('{')) {
                continue;
            }
            let close = lines.iter().skip(open).position(|line| *line == format!("{indent}}}"));
            let length = close.map_or(0, |offset| open + offset - at + 1);
            let above = lines.get(at.saturating_sub(4)..at).unwrap_or_default();
            let excused = above.iter().any(|line| line.contains("too_many_lines"));
            found.push(Function { line: at + 1, length, excused });
        }
        found
    }
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| {
        word.starts_with("pub")
            || ["const", "async", "unsafe", "extern"].contains(word)
            || word.starts_with("crate)")
    });
    words.next() == Some("fn")
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["crates", "bins", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !["target", "node_modules", "golden", ".venv"].contains(&name) {
            collect(&path, found);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap_or(&path).to_owned();
            found.push(Source { path, text });
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn percentile(values: &[usize], percent: usize) -> usize {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}
