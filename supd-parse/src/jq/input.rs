//! A record as a value of the jq language. Building one would cost more than most filters do, so the object of the last
//! record with the same keys is filled anew: its strings are slices of one copy of the line.

use std::borrow::Cow;

use anyhow::anyhow;
use jaq_json::{Map, Num, Rc, Val, read};
use supd_core::fields::{Field, Fields as _};
use supd_core::flat::Flat;

use crate::item::Item;

/// Events of one supervisord have about ten different sets of keys. With more than these it is another program that
/// makes up keys, and the oldest set is forgotten.
const REMEMBERED: usize = 16;

/// Makes values, one record after another.
#[derive(Default)]
pub(super) struct Input {
    /// The objects of the last records, one for each set of keys, the last used one first.
    objects: Vec<Rc<Map>>,
}

impl Input {
    /// The value of a record.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn of(&mut self, item: &Item<'_>) -> anyhow::Result<Val> {
        if let Some((line, flat)) = item.flat() {
            return Ok(self.of_flat(line, flat));
        }
        let mut text = Vec::new();
        item.write_line(&mut text);
        read::parse_single(&text).map_err(|error| anyhow!("--jq: {error}"))
    }

    fn of_flat(&mut self, line: &[u8], flat: &Flat<'_>) -> Val {
        let mut fields: Vec<(&str, Field<'_>)> = Vec::with_capacity(24);
        flat.each(&mut |key, field| fields.push((key, field)));
        let known = self.objects.iter().position(|object| has_keys(object, &fields));
        let mut object = known.map_or_else(|| with_keys(&fields), |at| self.objects.remove(at));
        // A filter cannot keep what it was given; should it, the object is copied.
        let values = Rc::make_mut(&mut object).values_mut();
        let line = Line { text: line, copy: Val::utf8_str(line.to_vec()) };
        values.zip(fields).for_each(|(value, (_, field))| line.fill(value, field));
        self.objects.truncate(REMEMBERED - 1);
        self.objects.insert(0, object.clone());
        Val::Obj(object)
    }

    /// Lets go of the last record's text, however long it was.
    pub(super) fn clear(&mut self) {
        let Some(object) = self.objects.first_mut().and_then(Rc::get_mut) else { return };
        for value in object.values_mut() {
            match value {
                Val::TStr(text) => **text = Vec::new().into(),
                value => *value = Val::Null,
            }
        }
    }
}

fn has_keys(object: &Map, fields: &[(&str, Field<'_>)]) -> bool {
    let is_same = |(known, (key, _)): (&Val, &(&str, Field<'_>))| match known {
        Val::TStr(known) => ***known == *key.as_bytes(),
        _ => false,
    };
    // Sets of keys begin alike.
    object.len() == fields.len() && object.keys().rev().zip(fields.iter().rev()).all(is_same)
}

fn with_keys(fields: &[(&str, Field<'_>)]) -> Rc<Map> {
    let members = fields.iter().map(|(key, _)| (Val::utf8_str(key.as_bytes().to_vec()), Val::Null));
    Rc::new(members.collect())
}

/// The line of a record, and the copy of it that values are parts of.
struct Line<'a> {
    text: &'a [u8],
    copy: Val,
}

impl Line<'_> {
    fn fill(&self, value: &mut Val, field: Field<'_>) {
        match field {
            Field::Text(Cow::Borrowed(text)) => self.fill_part(value, text),
            Field::Text(Cow::Owned(text)) => *value = Val::utf8_str(text.into_bytes()),
            Field::Number(number) => *value = Val::Num(Num::from_integral(number)),
            Field::Flag(flag) => *value = Val::Bool(flag),
            Field::Json(json) => {
                *value = read::parse_single(json.as_bytes()).expect("a field is written as JSON");
            }
        }
    }

    fn fill_part(&self, value: &mut Val, text: &str) {
        let Val::TStr(copy) = &self.copy else { unreachable!("the copy of a line is a string") };
        let start = text.as_ptr() as usize - self.text.as_ptr() as usize;
        let part = copy.slice(start..start + text.len());
        match value {
            Val::TStr(value) => **value = part,
            value => *value = Val::utf8_str(part),
        }
    }
}
