//! All series of one metric.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::cell::{Bounds, Cell, Life};
use super::label::Label;
use super::series::Room;
use super::settings::MetricSettings;
use super::table::Metric;
use super::text::{Text, push_label};
use super::words::{METADATA, NONE, OTHER, TAGS, Words};

/// All series of one metric.
pub(super) struct Family {
    pub(super) metric: Metric,
    pub(super) on: bool,
    labels: Vec<Place>,
    most: usize,
    /// For how many seconds a series stays without anything added, and one that tells an end user.
    lasts: [Option<u64>; 2],
    cells: Mutex<Cells>,
}

/// One label: its name, its place among the words, and whether it stays where series are too many.
struct Place {
    name: String,
    at: usize,
    stays: bool,
}

/// How often a family itself keeps a series: by its labels, and in its list.
const KEPT: usize = 2;

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
        // A metric of a call has its tags and metadata; what is read elsewhere knows no call.
        if metric.labels().contains(&Label::RequestedModel) {
            labels.extend(settings.tags.iter().take(MetricSettings::MOST_TAGS).enumerate().map(tag));
            let paths = settings.metadata.iter().take(MetricSettings::MOST_METADATA).enumerate();
            labels.extend(paths.map(|(place, path)| Place {
                name: spelt(path),
                at: METADATA + place,
                stays: false,
            }));
        }
        Self {
            metric,
            on: settings.tells(metric),
            labels,
            most: settings.most_of_metric.unwrap_or(usize::MAX),
            lasts: [settings.lasts(false), settings.lasts(true)],
            cells: Mutex::default(),
        }
    }

    /// The series of these words, made where there is none yet; where there is no room, the one of all others.
    pub(super) fn cell(
        &self,
        words: &Words<'_>,
        second: u64,
        room: &Room,
        bounds: &Arc<Bounds>,
    ) -> Arc<Cell> {
        let labels = self.text(|place| words.value(place), false);
        let mut cells = self.cells.lock();
        if let Some(cell) = cells.by_labels.get(&*labels) {
            cell.life.touch(|| second);
            return cell.clone();
        }
        let [lasts, of_end_user] = self.lasts;
        let tells_user = !words.value(Label::EndUser as usize).is_empty() && self.has(Label::EndUser);
        let life = Life::new(second, if tells_user { of_end_user } else { lasts });
        let cell = Cell::new(self.metric.kind(), labels.into(), bounds, life);
        if room.take(cells.list.len() < self.most) {
            return cells.add(cell);
        }
        let others: Arc<str> = self.text(|place| words.value(place), true).into();
        match cells.by_labels.get(&others) {
            Some(cell) => cell.clone(),
            None => cells.add(cell.of_others(others)),
        }
    }

    /// Drops the series whose time is over; answers how many. One that somebody could still add to stays.
    pub(super) fn sweep(&self, second: u64) -> usize {
        let mut cells = self.cells.lock();
        let Cells { by_labels, list } = &mut *cells;
        let before = list.len();
        list.retain(|cell| {
            let stays = !cell.life.is_over(second) || Arc::strong_count(cell) > KEPT;
            if !stays {
                by_labels.remove(&cell.labels);
            }
            stays
        });
        before - list.len()
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

    fn has(&self, label: Label) -> bool {
        self.labels.iter().any(|place| place.at == label as usize)
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
    fn add(&mut self, cell: Cell) -> Arc<Cell> {
        let cell = Arc::new(cell);
        self.by_labels.insert(cell.labels.clone(), cell.clone());
        self.list.push(cell.clone());
        cell
    }
}

fn tag((place, tag): (usize, &String)) -> Place {
    Place { name: format!("tag_{}", spelt(tag)), at: TAGS + place, stays: true }
}

/// With an underscore for every letter that a label cannot have.
fn spelt(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}
