//! `delpaths`: what is left keeps its order, where jaq would put the last member in the place of the one taken away.

use std::ops::Range;

use jaq_core::{Error, ValR};
use jaq_json::{Num, Rc, Val};

/// The value without what stands at these paths, an array of arrays.
pub(super) fn paths(value: Val, paths: Val) -> ValR<Val> {
    let Val::Arr(paths) = paths else { return Err(Error::typ(paths, "array")) };
    let mut paths = Rc::unwrap_or_clone(paths);
    // From the end, so that the places of the others stay what they are.
    paths.sort();
    paths.dedup();
    paths.into_iter().rev().try_fold(value, |value, path| match path {
        Val::Arr(path) => without(value, &path),
        path => Err(Error::typ(path, "array")),
    })
}

fn without(mut value: Val, path: &[Val]) -> ValR<Val> {
    let Some((first, rest)) = path.split_first() else { return Ok(Val::Null) };
    match (&mut value, first) {
        (Val::Null, _) => {}
        (Val::Obj(members), Val::TStr(_)) => {
            let members = Rc::make_mut(members);
            if rest.is_empty() {
                members.shift_remove(first);
            } else if let Some(member) = members.get_mut(first) {
                *member = without(std::mem::take(member), rest)?;
            }
        }
        (Val::Arr(values), Val::Num(Num::Int(index))) => {
            let place = place(*index, values.len());
            let values = Rc::make_mut(values);
            if let Some(inner) = values.get_mut(place.clone()).and_then(<[Val]>::first_mut) {
                match rest {
                    [] => drop(values.drain(place)),
                    _ => *inner = without(std::mem::take(inner), rest)?,
                }
            }
        }
        (Val::Arr(values), Val::Obj(bounds)) if rest.is_empty() => {
            let bound = |name: &str| match bounds.get(&Val::from(name.to_owned())) {
                Some(Val::Num(Num::Int(at))) => Some(place(*at, values.len()).start),
                _ => None,
            };
            let (start, end) = (bound("start").unwrap_or(0), bound("end").unwrap_or(values.len()));
            drop(Rc::make_mut(values).drain(start..end.max(start)));
        }
        _ => return Err(Error::index(value, first.clone())),
    }
    Ok(value)
}

/// Where one element is, counted from the end where the index is negative; empty beyond the array's ends.
fn place(index: isize, len: usize) -> Range<usize> {
    let start = if index < 0 { len.checked_add_signed(index) } else { Some(index.unsigned_abs()) };
    match start {
        Some(start) if start < len => start..start + 1,
        Some(_) => len..len,
        None => 0..0,
    }
}
