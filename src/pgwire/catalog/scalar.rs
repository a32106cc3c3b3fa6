//! A function over values, as the engine calls it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

/// What a function does with the values of one row. Any number of them may be missing.
pub(super) type Body = Arc<dyn Fn(&[ScalarValue]) -> Result<ScalarValue> + Send + Sync>;

/// What type a function gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Gives {
    /// Always this one.
    Fixed(DataType),
    /// That of the elements of its first argument.
    Element,
}

/// A function that is called row by row, which does for catalogs: they are small.
struct RowFunction {
    name: String,
    signature: Signature,
    gives: Gives,
    body: Body,
}

impl fmt::Debug for RowFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFunction")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for RowFunction {
    fn eq(&self, other: &RowFunction) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match (&self.gives, arg_types.first()) {
            (Gives::Fixed(data_type), _) => data_type.clone(),
            (Gives::Element, Some(DataType::List(item) | DataType::LargeList(item))) => {
                item.data_type().clone()
            }
            // The elements of a text such as `{1,2}`, and of what has no type yet.
            (Gives::Element, _) => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant: Option<Vec<ScalarValue>> = args
            .args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Scalar(value) => Some(value.clone()),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        if let Some(values) = constant {
            return Ok(ColumnarValue::Scalar((self.body)(&values)?));
        }
        let results = (0..args.number_rows)
            .map(|row| {
                let values = args
                    .args
                    .iter()
                    .map(|arg| match arg {
                        ColumnarValue::Scalar(value) => Ok(value.clone()),
                        ColumnarValue::Array(array) => ScalarValue::try_from_array(array, row),
                    })
                    .collect::<Result<Vec<_>>>()?;
                (self.body)(&values)
            })
            .collect::<Result<Vec<_>>>()?;
        if results.is_empty() {
            return Ok(ColumnarValue::Array(arrow::array::new_empty_array(
                args.return_field.data_type(),
            )));
        }
        ScalarValue::iter_to_array(results).map(ColumnarValue::Array)
    }
}

/// A function of any number of arguments of any types.
pub(super) fn function(name: &str, gives: Gives, body: Body) -> Arc<ScalarUDF> {
    let signature = Signature::new(
        TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::VariadicAny]),
        Volatility::Immutable,
    );
    Arc::new(ScalarUDF::new_from_impl(RowFunction {
        name: name.to_owned(),
        signature,
        gives,
        body,
    }))
}

/// A text, if the value is one.
pub(super) fn text(value: Option<&ScalarValue>) -> Option<&str> {
    value.and_then(|value| value.try_as_str()).flatten()
}

/// A whole number, if the value is one or a text of one.
pub(super) fn int(value: Option<&ScalarValue>) -> Option<i64> {
    match value? {
        ScalarValue::Int8(value) => value.map(i64::from),
        ScalarValue::Int16(value) => value.map(i64::from),
        ScalarValue::Int32(value) => value.map(i64::from),
        ScalarValue::Int64(value) => *value,
        ScalarValue::UInt8(value) => value.map(i64::from),
        ScalarValue::UInt16(value) => value.map(i64::from),
        ScalarValue::UInt32(value) => value.map(i64::from),
        ScalarValue::UInt64(value) => value.and_then(|value| i64::try_from(value).ok()),
        value => text(Some(value))?.trim().parse().ok(),
    }
}

/// An id, if the value is one.
pub(super) fn id(value: Option<&ScalarValue>) -> Option<i32> {
    int(value).and_then(|value| i32::try_from(value).ok())
}

/// The elements of an array, or of a text that is one; `None` for NULL.
pub(super) fn elements(value: Option<&ScalarValue>) -> Result<Option<Vec<ScalarValue>>> {
    let Some(value) = value else {
        return Ok(None);
    };
    if let Some(text) = text(Some(value)) {
        return Ok(Some(
            array_items(text)
                .into_iter()
                .map(ScalarValue::Utf8)
                .collect(),
        ));
    }
    let list = match value {
        _ if value.is_null() => return Ok(None),
        ScalarValue::List(list) => list.value(0),
        ScalarValue::LargeList(list) => list.value(0),
        ScalarValue::FixedSizeList(list) => list.value(0),
        _ => {
            return Err(DataFusionError::Plan(
                "an array is expected here".to_owned(),
            ));
        }
    };
    (0..list.len())
        .map(|item| ScalarValue::try_from_array(&list, item))
        .collect::<Result<Vec<_>>>()
        .map(Some)
}

/// The elements of an array that is written as a text, such as `{a,"b c",NULL}` or `1 2`.
pub(super) fn array_items(text: &str) -> Vec<Option<String>> {
    let text = text.trim();
    let Some(inside) = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
    else {
        return text
            .split_whitespace()
            .map(|item| Some(item.to_owned()))
            .collect();
    };
    if inside.trim().is_empty() {
        return Vec::new();
    }
    let mut items = Vec::new();
    let mut item = String::new();
    let mut quoted = false;
    let mut was_quoted = false;
    let mut letters = inside.chars();
    let finish = |item: &mut String, was_quoted: bool| {
        let text = std::mem::take(item);
        if was_quoted {
            return Some(text);
        }
        let text = text.trim();
        (!text.eq_ignore_ascii_case("null")).then(|| text.to_owned())
    };
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => item.extend(letters.next()),
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => {
                items.push(finish(&mut item, was_quoted));
                was_quoted = false;
            }
            letter => item.push(letter),
        }
    }
    items.push(finish(&mut item, was_quoted));
    items
}
