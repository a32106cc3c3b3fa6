//! Which columns of a schema tell of persons, by their names alone.

use arrow::datatypes::{DataType, Field, Schema};

use super::{Topic, Topics};

/// The columns whose names speak of something personal, sorted; within structures each part by
/// its dotted path.
pub fn personal_columns(schema: &Schema) -> Vec<String> {
    let mut columns = Vec::new();
    for field in schema.fields() {
        collect(field.name().clone(), field, &mut columns);
    }
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn collect(path: String, field: &Field, columns: &mut Vec<String>) {
    let mut data_type = field.data_type();
    // The elements of a list stand where the list stands.
    while let DataType::List(item)
    | DataType::LargeList(item)
    | DataType::ListView(item)
    | DataType::LargeListView(item)
    | DataType::FixedSizeList(item, _) = data_type
    {
        data_type = item.data_type();
    }
    match data_type {
        DataType::Struct(fields) => {
            for field in fields {
                collect(format!("{path}.{}", field.name()), field, columns);
            }
        }
        // Whether somebody has an e-mail address is none.
        DataType::Boolean | DataType::Null => {}
        _ if is_personal(Topics::of_name(&path)) => columns.push(path),
        _ => {}
    }
}

/// Whether any topic is about a person; passwords and keys are secret, and nobody's data.
fn is_personal(topics: Topics) -> bool {
    let secret = [Topic::Password, Topic::Secret];
    let mut personal = Topic::ALL.iter().filter(|topic| !secret.contains(topic));
    personal.any(|topic| topics.contains(*topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_which_columns_are_personal() {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let contact = || DataType::Struct(vec![text("phone"), text("colour")].into());
        let people = DataType::List(Field::new("item", contact(), true).into());
        let schema = Schema::new(vec![
            text("id"),
            text("email"),
            Field::new("contact", contact(), true),
            Field::new("people", people, true),
            Field::new("date_of_birth", DataType::Date32, true),
            Field::new("email_verified", DataType::Boolean, true),
            text("password"),
            text("total"),
        ]);
        assert_eq!(
            personal_columns(&schema),
            ["contact.phone", "date_of_birth", "email", "people.phone"]
        );
        assert!(personal_columns(&Schema::empty()).is_empty());
    }
}
