//! Makes JSON of values: jaq's may be more than JSON has.

use jaq_json::{Num, Val};

/// `value` with what JSON has not replaced as jq does: NaN by null, infinity by the largest number, bytes by text.
///
/// # Errors
///
/// A key is not a string.
pub(super) fn to_json(value: Val) -> Result<Val, String> {
    match is_json(&value) {
        true => Ok(value),
        false => replaced(&value),
    }
}

fn is_json(value: &Val) -> bool {
    match value {
        Val::Num(Num::Float(number)) => number.is_finite(),
        Val::BStr(_) => false,
        Val::Arr(items) => items.iter().all(is_json),
        Val::Obj(members) => members
            .iter()
            .all(|(key, value)| matches!(key, Val::TStr(_)) && is_json(value)),
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::TStr(_) => true,
    }
}

fn replaced(value: &Val) -> Result<Val, String> {
    Ok(match value {
        Val::Num(Num::Float(number)) if number.is_nan() => Val::Null,
        Val::Num(Num::Float(number)) if number.is_infinite() => {
            Val::Num(Num::Float(f64::MAX.copysign(*number)))
        }
        Val::BStr(bytes) => Val::utf8_str(bytes.to_vec()),
        Val::Arr(items) => {
            let items: Result<Vec<Val>, String> = items.iter().map(replaced).collect();
            Val::Arr(items?.into())
        }
        Val::Obj(members) => {
            let members = members.iter().map(|(key, value)| match key {
                Val::TStr(_) => Ok((key.clone(), replaced(value)?)),
                key => Err(format!(
                    "{key} is the key of an object; only strings can be"
                )),
            });
            Val::obj(members.collect::<Result<_, String>>()?)
        }
        value => value.clone(),
    })
}
