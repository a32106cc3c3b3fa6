//! The grammar of filter trees as a schema, for the description of the API. The operators and the
//! values they take are asked of the parser's own table.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::filter_tree::{FilterDocument, Operator, Shape};

const NAME: &str = "FilterTree";

impl ToSchema for FilterDocument {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed(NAME)
    }
}

impl PartialSchema for FilterDocument {
    fn schema() -> RefOr<Schema> {
        let about = "The records that may pass: those for which the tree is TRUE. A group joins \
                     trees; a condition tests one column.";
        let mut tree = AnyOfBuilder::new()
            .description(Some(about))
            .item(group(&["and", "or"], None))
            .item(group(&["not"], Some(1)));
        for shape in Shape::ALL {
            tree = tree.item(condition(*shape));
        }
        RefOr::T(tree.into())
    }
}

/// An object that has these properties and no other; the first `required` of them must be there.
fn object(properties: Vec<(&str, Schema)>, required: usize) -> Schema {
    let mut object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    for (i, (name, schema)) in properties.into_iter().enumerate() {
        object = object.property(name, schema);
        if i < required {
            object = object.required(name);
        }
    }
    object.into()
}

fn one_of(words: &[&str]) -> Schema {
    let words = words.iter().copied();
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.enum_values(Some(words)).into()
}

fn plain(plain: Type) -> Schema {
    ObjectBuilder::new().schema_type(plain).into()
}

fn group(kinds: &[&str], most: Option<usize>) -> Schema {
    let children = ArrayBuilder::new()
        .items(Ref::from_schema_name(NAME))
        .min_items(Some(1))
        .max_items(most);
    let properties = vec![("type", one_of(kinds)), ("children", children.into())];
    object(properties, 2)
}

fn condition(shape: Shape) -> Schema {
    let operators = Operator::ALL.iter().copied();
    let operators = operators.filter(|operator| operator.shape() == shape);
    let operators: Vec<_> = operators.map(Operator::name).collect();
    let column = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .description(Some("Name of a column, or a dotted path into a struct."));
    let zone = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "IANA zone of dates and times without one; UTC if absent.",
        ));
    let mut properties = vec![
        ("type", one_of(&["condition"])),
        ("condition_type", one_of(&["property"])),
        ("column", column.into()),
        ("operator", one_of(&operators)),
    ];
    let value = value(shape);
    let required = properties.len() + usize::from(value.is_some());
    properties.extend(value.map(|value| ("value", value)));
    properties.push(("case_sensitive", plain(Type::Boolean)));
    properties.push(("timezone", zone.into()));
    object(properties, required)
}

/// What a condition compares with; `None` where it takes no value.
fn value(shape: Shape) -> Option<Schema> {
    let scalars = |least, most| {
        let array = ArrayBuilder::new().items(RefOr::T(scalar()));
        array.min_items(Some(least)).max_items(most).into()
    };
    Some(match shape {
        Shape::None => return None,
        Shape::Scalar => scalar(),
        Shape::Scalars => scalars(1, None),
        Shape::Pair => scalars(2, Some(2)),
        Shape::Text => plain(Type::String),
        Shape::Regex => {
            let about = "A regular expression in the syntax of the Rust crate regex.";
            let text = ObjectBuilder::new().schema_type(Type::String);
            text.description(Some(about)).into()
        }
        Shape::Span => {
            let count = ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(0))
                .maximum(Some(f64::from(u32::MAX)));
            let units = ["minutes", "hours", "days", "weeks", "months", "years"];
            object(vec![("value", count.into()), ("unit", one_of(&units))], 2)
        }
    })
}

fn scalar() -> Schema {
    let types = [Type::String, Type::Number, Type::Boolean];
    let scalar = ObjectBuilder::new().schema_type(SchemaType::from_iter(types));
    scalar.into()
}
