//! All series of one metric.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::cell::{Bounds, Cell};
use super::label::Label;
use super::series::Room;
use super::settings::MetricSettings;
use super::table::{Kind, Metric};
use super::text::{Text, push_label};
use super::words::{NONE, OTHER, Words};

/// All series of one metric.
pub(super) struct Family {
    pub(super) metric: Metric,
    pub(super) on: bool,
    labels: Vec<Place>,
    cells: Mutex<Cells>,
}

/// One label: its name, its place among the words, and whether it stays where series are too many.
struct Place {
    name: String,
    at: usize,
    stays: bool,
}

/// Labels and value of a series that is read when somebody looks.
pub(super) type Sample = (String, f64);

#[derive(Default)]
struct Cells {
    by_labels: HashMap<Arc<str>, Arc<Cell>>,
    /// In the order that they came, so that a scrape copies pointers and nothing else.
    list: Vec<Arc<Cell>>,
}

// === impl Family ===

impl Family {
    pub(super) fn new(metric: Metric, settings: &MetricSettings) -> Self {
        let place = |label: Label| Place {
            name: label.name().to_owned(),
            at: label as usize,
            stays: label.is_bounded(),
        };
        let mut labels: Vec<Place> = settings.labels(metric).map(place).collect();
        // A metric of a call has its tags; what is read elsewhere knows no call.
        if metric.labels().contains(&Label::RequestedModel) {
            labels.extend(settings.tags.iter().take(MetricSettings::MOST_TAGS).enumerate().map(tag));
        }
        Self { metric, on: settings.tells(metric), labels, cells: Mutex::default() }
    }

    /// The series of these words, made where there is none yet; where there is no room, the one of all others.
    pub(super) fn cell(&self, words: &Words<'_>, room: &Room, bounds: &Arc<Bounds>) -> Arc<Cell> {
        let labels = self.text(|place| words.value(place), false);
        let mut cells = self.cells.lock();
        if let Some(cell) = cells.by_labels.get(&*labels) {
            return cell.clone();
        }
        if room.take() {
            return cells.add(self.metric.kind(), labels.into(), bounds);
        }
        let others = self.text(|place| words.value(place), true);
        match cells.by_labels.get(&*others) {
            Some(cell) => cell.clone(),
            None => cells.add(self.metric.kind(), others.into(), bounds),
        }
    }

    /// All of them. Series that are made meanwhile wait for the pointers to be copied, not for the text.
    pub(super) fn write(&self, read: &[Sample], text: &mut Text) {
        text.family(self.metric.name(), self.metric.kind(), self.metric.help());
        let list = self.cells.lock().list.clone();
        list.iter().for_each(|cell| cell.write(text));
        for (labels, value) in read {
            text.sample(labels, value);
        }
    }

    /// The labels of these words, for a sample that is read when somebody looks.
    pub(super) fn labels(&self, words: &Words<'_>) -> String {
        self.text(|place| words.value(place), false)
    }

    fn text<'w>(&self, value: impl Fn(usize) -> &'w str, others: bool) -> String {
        let mut out = String::new();
        for Place { name, at, stays } in &self.labels {
            let value = match value(*at) {
                "" => NONE,
                _ if others && !stays => OTHER,
                value => value,
            };
            push_label(&mut out, name, value);
        }
        out
    }
}

// === impl Cells ===

impl Cells {
    fn add(&mut self, kind: Kind, labels: Arc<str>, bounds: &Arc<Bounds>) -> Arc<Cell> {
        let cell = Arc::new(Cell::new(kind, labels.clone(), bounds));
        self.by_labels.insert(labels, cell.clone());
        self.list.push(cell.clone());
        cell
    }
}

/// `tag_…`, with an underscore for every letter that a label cannot have.
fn tag((place, tag): (usize, &String)) -> Place {
    let letters = tag.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' });
    Place { name: format!("tag_{}", letters.collect::<String>()), at: Label::ALL.len() + place, stays: true }
}
