//! The model table: sorted lines that are searched in place and decoded one at a time, so that loading costs nothing.
//!
//! A line per model, sorted by name, with tab-separated columns: name, provider, mode, limits, prices, supports,
//! supports not, endpoints, input modalities, output modalities, day of retirement, prices with a structure (JSON),
//! what else is said (JSON).
//! Words are single characters that stand for the words of the head's vocabularies, in their order. Columns at the
//! end that are empty are left out.
//! A price is its field's character, the leading digits of its femto-dollars, and a letter for the zeros that follow.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::Split;

use gatewright_core::Price;
use serde_json::{Map, Value};

use crate::{Entry, Limits, ModelRow, PriceField, Prices};

/// The first line of a table that this code can read.
pub const FORMAT: &str = "gatewright models 1";

/// The vocabularies of a table's head, in their order there.
const WORDS: [&str; 6] = ["providers", "modes", "fields", "flags", "endpoints", "modalities"];

/// The characters of a vocabulary's words: those from `0` to `~`, and from `À` on when they do not suffice.
const FIRST: u32 = '0' as u32;
const PLAIN: u32 = '~' as u32 - FIRST + 1;
const BEYOND: u32 = 'À' as u32 - PLAIN;

/// A word as rows have it: one of the shipped table costs no copy, one of a table that was loaded is the row's own,
/// because a row may outlive the table that it was read from.
pub(crate) type Word = Cow<'static, str>;

/// A model table.
#[derive(Debug)]
pub struct Table {
    text: Cow<'static, str>,
    /// Where the lines begin.
    lines: usize,
    providers: Vec<Word>,
    modes: Vec<Word>,
    fields: Vec<PriceField>,
    flags: Vec<Word>,
    endpoints: Vec<Word>,
    modalities: Vec<Word>,
}

// === impl Table ===

impl Table {
    /// Reads a table's head; `None` where it is of another format.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Option<Self> {
        let text = text.into();
        let (vocabularies, lines) = match &text {
            Cow::Borrowed(text) => {
                let (heads, lines) = heads(text)?;
                (heads.map(|head| words(head).map(Cow::Borrowed).collect::<Vec<Word>>()), lines)
            }
            Cow::Owned(text) => {
                let (heads, lines) = heads(text)?;
                (heads.map(|head| words(head).map(|word| Cow::Owned(word.to_owned())).collect()), lines)
            }
        };
        let [providers, modes, fields, flags, endpoints, modalities] = vocabularies;
        let fields = fields.into_iter().map(PriceField::parse).collect();
        Some(Self { text, lines, providers, modes, fields, flags, endpoints, modalities })
    }

    /// The row of exactly this name.
    pub fn find(&self, name: &str) -> Option<ModelRow> {
        self.search(name).and_then(|line| self.decode(line))
    }

    /// Every row, in the order of names.
    pub fn rows(&self) -> impl Iterator<Item = ModelRow> {
        self.lines().lines().filter_map(|line| self.decode(line))
    }

    /// Name, provider and mode of every row, without decoding the rest.
    pub(crate) fn heads(&self) -> impl Iterator<Item = Head<'_>> {
        self.lines().lines().filter_map(|line| self.head(&mut line.split('\t')))
    }

    /// Name, provider and mode of the row of exactly this name.
    pub(crate) fn find_head(&self, name: &str) -> Option<Head<'_>> {
        self.search(name).and_then(|line| self.head(&mut line.split('\t')))
    }

    fn lines(&self) -> &str {
        self.text.get(self.lines..).unwrap_or_default()
    }

    fn search(&self, name: &str) -> Option<&str> {
        let lines = self.lines();
        let bytes = lines.as_bytes();
        let (mut low, mut high) = (0, bytes.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let start = memchr::memrchr(b'\n', bytes.get(low..middle)?).map_or(low, |at| low + at + 1);
            let end = memchr::memchr(b'\n', bytes.get(start..high)?).map_or(high, |at| start + at);
            let line = lines.get(start..end)?;
            let (key, _) = line.split_once('\t').unwrap_or((line, ""));
            match key.cmp(name) {
                Ordering::Equal => return Some(line),
                Ordering::Less => low = end + 1,
                Ordering::Greater => high = start,
            }
        }
        None
    }

    fn head<'t>(&'t self, columns: &mut Split<'t, char>) -> Option<Head<'t>> {
        Some(Head {
            name: columns.next()?,
            provider: word(&self.providers, columns.next()?)?,
            mode: columns.next().and_then(|code| word(&self.modes, code)).map_or("", |mode| mode),
        })
    }

    fn decode(&self, line: &str) -> Option<ModelRow> {
        let mut columns = line.split('\t');
        let name = columns.next()?.to_owned();
        let provider = word(&self.providers, columns.next()?)?.clone();
        let mode = columns.next().and_then(|code| word(&self.modes, code)).cloned().unwrap_or_default();
        let limits = Limits::decode(columns.next().unwrap_or_default());
        let mut prices = self.prices(columns.next().unwrap_or_default());
        let mut list = |words: &[Word]| -> Vec<Word> {
            columns.next().unwrap_or_default().chars().filter_map(|code| at(words, code)).cloned().collect()
        };
        let (supports, supports_not) = (list(&self.flags), list(&self.flags));
        let endpoints = list(&self.endpoints);
        let (modalities, output_modalities) = (list(&self.modalities), list(&self.modalities));
        let mut told = || columns.next().filter(|text| !text.is_empty());
        let retires = told().map(str::to_owned);
        if let Some(structured) = told().and_then(|json| serde_json::from_str(json).ok()) {
            prices.set_structured(structured);
        }
        let other = told().map(str::to_owned);
        Some(ModelRow {
            name,
            provider,
            mode,
            limits,
            prices,
            supports,
            supports_not,
            endpoints,
            modalities,
            output_modalities,
            retires,
            other,
        })
    }

    fn prices(&self, column: &str) -> Prices {
        let mut prices = Prices::default();
        let mut chars = column.chars();
        while let Some(code) = chars.next() {
            let mut femto: u64 = 0;
            for c in chars.by_ref() {
                match c.to_digit(10) {
                    Some(digit) => femto = femto.saturating_mul(10).saturating_add(u64::from(digit)),
                    None => {
                        let zeros = u32::from(c).saturating_sub(u32::from('a'));
                        femto = femto.saturating_mul(10u64.saturating_pow(zeros));
                        break;
                    }
                }
            }
            if let Some(field) = at(&self.fields, code) {
                prices.set(field.clone(), Price(femto));
            }
        }
        prices
    }
}

/// The columns that tell what a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head<'t> {
    pub(crate) name: &'t str,
    pub(crate) provider: &'t str,
    pub(crate) mode: &'t str,
}

/// Writes tables.
#[derive(Debug, Default)]
pub struct TableWriter {
    words: [Vec<String>; 6],
    lines: Vec<String>,
}

// === impl TableWriter ===

impl TableWriter {
    /// Adds a model. Words get their characters in the order in which they are met.
    pub fn add(&mut self, entry: &Entry) {
        let provider = self.codes(0, std::slice::from_ref(&entry.provider));
        let mode = match entry.mode.as_str() {
            "" => String::new(),
            _ => self.codes(1, std::slice::from_ref(&entry.mode)),
        };
        let prices: String = entry
            .prices
            .iter()
            .map(|(field, price)| self.codes(2, std::slice::from_ref(field)) + &digits(*price))
            .collect();
        let columns = [
            entry.name.clone(),
            provider,
            mode,
            entry.limits.encode(),
            prices,
            self.codes(3, &entry.supports),
            self.codes(3, &entry.supports_not),
            self.codes(4, &entry.endpoints),
            self.codes(5, &entry.modalities),
            self.codes(5, &entry.output_modalities),
            entry.retires.clone(),
            json(&entry.structured),
            json(&entry.other),
        ];
        self.lines.push(columns.join("\t"));
    }

    /// The whole table.
    pub fn finish(mut self) -> String {
        // Names hold no character below a tab, so lines sort as their names do.
        self.lines.sort_by(|a, b| a.split('\t').next().cmp(&b.split('\t').next()));
        let heads = WORDS.iter().zip(&self.words).map(|(name, words)| format!("{name} {}", words.join(" ")));
        let mut text = FORMAT.to_owned();
        for line in heads.chain(self.lines) {
            text.push('\n');
            text.push_str(line.trim_end_matches([' ', '\t']));
        }
        text
    }

    fn codes(&mut self, vocabulary: usize, words: &[String]) -> String {
        let Some(known) = self.words.get_mut(vocabulary) else { return String::new() };
        let mut codes = String::new();
        for word in words {
            let index = known.iter().position(|k| k == word).unwrap_or_else(|| {
                known.push(word.clone());
                known.len() - 1
            });
            codes.extend(u32::try_from(index).ok().and_then(code));
        }
        codes
    }
}

fn json(fields: &Map<String, Value>) -> String {
    match fields.is_empty() {
        true => String::new(),
        false => serde_json::to_string(fields).unwrap_or_default(),
    }
}

fn digits(price: Price) -> String {
    let (mut digits, mut zeros) = (price.0, b'a');
    while digits != 0 && digits % 10 == 0 {
        digits /= 10;
        zeros += 1;
    }
    format!("{digits}{}", char::from(zeros))
}

/// The vocabularies of a head, and where the lines below it begin.
fn heads(text: &str) -> Option<([&str; 6], usize)> {
    let mut rest = text.strip_prefix(FORMAT)?.strip_prefix('\n')?;
    let mut head = || {
        let (line, below) = rest.split_once('\n')?;
        rest = below;
        Some(line)
    };
    let heads = [head()?, head()?, head()?, head()?, head()?, head()?];
    Some((heads, text.len() - rest.len()))
}

fn words(head: &str) -> impl Iterator<Item = &str> {
    head.split(' ').skip(1)
}

fn word<'t>(words: &'t [Word], codes: &str) -> Option<&'t Word> {
    at(words, codes.chars().next()?)
}

fn at<T>(words: &[T], code: char) -> Option<&T> {
    let code = u32::from(code);
    let index = code.checked_sub(if code < FIRST + PLAIN { FIRST } else { BEYOND })?;
    words.get(usize::try_from(index).ok()?)
}

fn code(index: u32) -> Option<char> {
    char::from_u32(index + if index < PLAIN { FIRST } else { BEYOND })
}
