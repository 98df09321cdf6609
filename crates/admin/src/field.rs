//! What a field of an object is: its name, its form, where it is kept, where it is shown, who may write it.

/// One field of a kind of object.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in bodies and answers.
    pub name: &'static str,
    /// What may be written.
    pub form: Form,
    /// What is shown where nothing was written.
    pub unset: Unset,
    /// Where it is kept.
    pub place: Place,
    /// Who may write it.
    pub writer: Writer,
    /// In which answers it is shown.
    pub shown: Shown,
    /// Whether its value has amounts inside: those of single models, or of several windows.
    pub has_amounts: bool,
}

/// The JSON that a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// An object.
    Map,
    /// A list of objects.
    Maps,
    /// An amount in dollars.
    Dollars,
    /// A whole number.
    Count,
    /// True or false.
    Flag,
    /// A number and a unit: `30s`, `15m`, `2h`, `7d`, `1mo`, or a word as `monthly`.
    Span,
    /// A moment, as ISO 8601 has it.
    Moment,
    /// Anything.
    Any,
}

/// What is shown in place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// `null`.
    Null,
    /// `[]`.
    List,
    /// `{}`.
    Map,
    /// `0`.
    Zero,
    /// `false`.
    No,
    /// A text.
    Word(&'static str),
}

/// Where the value of a field is kept in a row of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the fields of the row, by its name.
    Own,
    /// Inside `metadata`, where LiteLLM's clients look for it.
    Metadata,
    /// It is the row's id.
    Id,
    /// It is what people call the row.
    Alias,
    /// The organization that the row belongs to.
    Organization,
    /// The team.
    Team,
    /// The user.
    User,
    /// The project.
    Project,
    /// The budget that holds further limits.
    Budget,
    /// Whether the row is switched off.
    Blocked,
    /// When the row ends.
    Ends,
    /// Says when the row ends, from now on.
    Lasts,
    /// When the row was made.
    Made,
    /// By whom.
    MadeBy,
    /// When it was changed last.
    Changed,
    /// By whom.
    ChangedBy,
    /// Nowhere: whoever answers knows it.
    Answer,
}

/// Who may write a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Whoever may write the object.
    Anyone,
    /// The proxy's administrators.
    Administrator,
    /// Nobody: it is only read.
    Nobody,
}

/// In which answers a field is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// In all.
    Always,
    /// In the answer to who made the object.
    Made,
    /// In the answers to all others.
    Told,
    /// In none.
    Never,
}

// === impl Field ===

impl Field {
    /// A field that whoever may write the object may write, kept by its name, shown everywhere, `null` when unset.
    pub(crate) const fn new(name: &'static str, form: Form) -> Self {
        let (unset, place) = (Unset::Null, Place::Own);
        let (writer, shown) = (Writer::Anyone, Shown::Always);
        Self { name, form, unset, place, writer, shown, has_amounts: false }
    }

    pub(crate) const fn unset(self, unset: Unset) -> Self {
        Self { unset, ..self }
    }

    pub(crate) const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    pub(crate) const fn shown(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }

    pub(crate) const fn with_amounts(self) -> Self {
        Self { has_amounts: true, ..self }
    }

    pub(crate) const fn by(self, writer: Writer) -> Self {
        Self { writer, ..self }
    }
}

// === the forms as constructors, so that a table reads as one ===

pub(crate) const fn text(name: &'static str) -> Field {
    Field::new(name, Form::Text)
}

pub(crate) const fn texts(name: &'static str) -> Field {
    Field::new(name, Form::Texts).unset(Unset::List)
}

pub(crate) const fn map(name: &'static str) -> Field {
    Field::new(name, Form::Map).unset(Unset::Map)
}

pub(crate) const fn dollars(name: &'static str) -> Field {
    Field::new(name, Form::Dollars)
}

pub(crate) const fn count(name: &'static str) -> Field {
    Field::new(name, Form::Count)
}

pub(crate) const fn flag(name: &'static str) -> Field {
    Field::new(name, Form::Flag)
}

pub(crate) const fn span(name: &'static str) -> Field {
    Field::new(name, Form::Span)
}

pub(crate) const fn any(name: &'static str) -> Field {
    Field::new(name, Form::Any)
}

/// A field inside `metadata`; at the top of an answer it is `null`, as with LiteLLM.
pub(crate) const fn inside(field: Field) -> Field {
    field.unset(Unset::Null).at(Place::Metadata).shown(Shown::Made)
}

/// What counts as spent in the time that runs, which administrators set.
pub(crate) const fn spend() -> Field {
    dollars("spend").at(Place::Answer).by(Writer::Administrator).unset(Unset::Zero)
}

/// What is only read.
pub(crate) const fn read(name: &'static str) -> Field {
    Field::new(name, Form::Any).at(Place::Answer).by(Writer::Nobody)
}
