//! Items as rows of cells: which columns there are, and what stands in them.

use supd_core::fields::{Field, Fields as _};

use super::columns::Columns;
use super::zone::Times;
use crate::item::Item;

/// Makes rows. Where values come that are no records, and nobody has named the columns, the first one decides.
#[derive(Debug)]
pub(crate) struct Rows {
    columns: Option<Columns>,
    /// Whether they were known before the first item.
    fixed: bool,
    usual: &'static [&'static str],
    times: Times,
}

impl Rows {
    pub(crate) fn new(
        asked: Option<Columns>,
        usual: &'static [&'static str],
        of_values: bool,
        times: Times,
    ) -> Self {
        let known = || (!of_values).then(|| Columns::of(usual.iter().copied()));
        let columns = asked.or_else(known);
        Self { fixed: columns.is_some(), columns, usual, times }
    }

    /// The columns, if they are known yet.
    pub(crate) fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    /// Whether no item decides which columns there are.
    pub(crate) fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// Lets this item decide which columns there are, if nobody has; gives them, for a heading, if it was so and it has
    /// keys.
    pub(crate) fn settle(&mut self, item: &Item<'_>) -> Option<&Columns> {
        if self.columns.is_some() {
            return None;
        }
        let usual = || Columns::of(self.usual.iter().copied());
        // What has a time is a record as it came, and the next one may have other keys.
        let (columns, has_keys) = match item.value() {
            Some(value) if !value.is_object() => (usual(), false),
            None if item.get("ts").is_some() => (usual(), true),
            _ => {
                let mut keys = Vec::new();
                item.each(&mut |key, _| keys.push(key.to_owned()));
                (Columns::of(keys), true)
            }
        };
        self.columns = Some(columns);
        self.columns.as_ref().filter(|_| has_keys)
    }

    /// Gives the cells of an item: of an array its elements, of another value itself. Null is an empty cell.
    pub(crate) fn each_cell(&self, item: &Item<'_>, mut give: impl FnMut(Option<Field<'_>>)) {
        let mut give = |field: Option<Field<'_>>| give(field.filter(|field| !is_null(field)));
        match (item.value(), &self.columns) {
            (Some(serde_json::Value::Array(values)), _) => {
                values.iter().for_each(|value| give(Some(value.into())));
            }
            (Some(value), _) if !value.is_object() => give(Some(value.into())),
            (_, Some(columns)) => columns.each(item, &self.times, |_, field| give(field)),
            (_, None) => {}
        }
    }
}

fn is_null(field: &Field<'_>) -> bool {
    matches!(field, Field::Json(json) if json == "null")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(rows: &mut Rows, value: serde_json::Value) -> (Option<Vec<String>>, Vec<String>) {
        let line = value.to_string();
        let item = Item::written(line.as_bytes());
        let heading = rows.settle(&item).map(|columns| columns.keys().map(str::to_owned).collect());
        let mut cells = Vec::new();
        rows.each_cell(&item, |cell| cells.push(cell.map_or(String::new(), |cell| cell.into_plain().into())));
        (heading, cells)
    }

    fn undecided() -> Rows {
        Rows::new(None, &["ts", "eventname"], true, Times::AsIs)
    }

    #[test]
    fn the_first_object_decides_and_others_follow_it() {
        let mut rows = undecided();
        let keys = Some(vec!["b".to_owned(), "a".to_owned()]);
        assert_eq!(row(&mut rows, json!({"b": 1, "a": [2]})), (keys, vec!["1".into(), "[2]".into()]));
        assert_eq!(row(&mut rows, json!({"a": null, "c": 3})), (None, vec!["".into(), "".into()]));
        assert_eq!(row(&mut rows, json!(["x", null])), (None, vec!["x".into(), "".into()]));
        assert_eq!(row(&mut rows, json!("y")), (None, vec!["y".into()]));
    }

    #[test]
    fn whole_records_have_the_usual_columns_and_reshaped_ones_their_own() {
        let whole = row(&mut undecided(), json!({"ts": "t", "eventname": "E", "pid": 1}));
        assert_eq!(whole, (Some(vec!["ts".into(), "eventname".into()]), vec!["t".into(), "E".into()]));
        let reshaped = row(&mut undecided(), json!({"eventname": "E", "n": 1}));
        assert_eq!(reshaped, (Some(vec!["eventname".into(), "n".into()]), vec!["E".into(), "1".into()]));
    }

    #[test]
    fn arrays_have_no_heading() {
        let mut rows = undecided();
        assert_eq!(row(&mut rows, json!([1, true])), (None, vec!["1".into(), "true".into()]));
        assert_eq!(row(&mut rows, json!({"ts": "t"})), (None, vec!["t".into(), "".into()]));
    }
}
