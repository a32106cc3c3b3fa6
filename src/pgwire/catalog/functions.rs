//! The functions that clients' catalog queries call, and those that they are rewritten to.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::ScalarUDF;

use super::builtin::{SETTINGS, VERSION, type_title};
use super::columns::{text_list, timestamp};
use super::relations::quoted;
use super::rows::View;
use super::scalar::{Body, Gives, elements, function, id, int, text};
use crate::pgwire::types;

/// Functions of PostgreSQL that say nothing here, with the type of their NULL.
const SILENT: &[(&str, DataType)] = &[
    ("col_description", DataType::Utf8),
    ("inet_client_addr", DataType::Utf8),
    ("inet_client_port", DataType::Int32),
    ("inet_server_addr", DataType::Utf8),
    ("inet_server_port", DataType::Int32),
    ("json_build_object", DataType::Utf8),
    ("obj_description", DataType::Utf8),
    ("pg_advisory_unlock_all", DataType::Utf8),
    ("pg_database_size", DataType::Int64),
    ("pg_get_expr", DataType::Utf8),
    ("pg_get_function_arg_default", DataType::Utf8),
    ("pg_get_function_arguments", DataType::Utf8),
    ("pg_get_function_identity_arguments", DataType::Utf8),
    ("pg_get_function_result", DataType::Utf8),
    ("pg_get_function_sqlbody", DataType::Utf8),
    ("pg_get_functiondef", DataType::Utf8),
    ("pg_get_partition_constraintdef", DataType::Utf8),
    ("pg_get_partkeydef", DataType::Utf8),
    ("pg_get_ruledef", DataType::Utf8),
    ("pg_get_serial_sequence", DataType::Utf8),
    ("pg_get_statisticsobjdef", DataType::Utf8),
    ("pg_get_statisticsobjdef_columns", DataType::Utf8),
    ("pg_get_triggerdef", DataType::Utf8),
    ("pg_get_viewdef", DataType::Utf8),
    ("pg_indexes_size", DataType::Int64),
    ("pg_last_committed_xact", DataType::Utf8),
    ("pg_partition_root", DataType::Int32),
    ("pg_relation_filenode", DataType::Int32),
    ("pg_relation_size", DataType::Int64),
    ("pg_size_pretty", DataType::Utf8),
    ("pg_stat_get_numscans", DataType::Int64),
    ("pg_stat_get_live_tuples", DataType::Int64),
    ("pg_table_size", DataType::Int64),
    ("pg_tablespace_location", DataType::Utf8),
    ("pg_tablespace_size", DataType::Int64),
    ("pg_total_relation_size", DataType::Int64),
    ("shobj_description", DataType::Utf8),
    ("txid_current", DataType::Int64),
    ("txid_current_if_assigned", DataType::Int64),
];

/// What is the same for everybody and for every argument.
const ANSWERS: &[(&str, Answer)] = &[
    ("current_schema", Answer::Text("public")),
    ("pg_backend_pid", Answer::Int(0)),
    ("pg_char_to_encoding", Answer::Int(6)),
    ("pg_client_encoding", Answer::Text("UTF8")),
    ("pg_collation_is_visible", Answer::Bool(true)),
    ("pg_conversion_is_visible", Answer::Bool(true)),
    ("pg_encoding_to_char", Answer::Text("UTF8")),
    ("pg_function_is_visible", Answer::Bool(true)),
    ("pg_has_role", Answer::Bool(true)),
    ("pg_is_in_recovery", Answer::Bool(false)),
    ("pg_is_other_temp_schema", Answer::Bool(false)),
    ("pg_is_wal_replay_paused", Answer::Bool(false)),
    ("pg_my_temp_schema", Answer::Int(0)),
    ("pg_opclass_is_visible", Answer::Bool(true)),
    ("pg_operator_is_visible", Answer::Bool(true)),
    ("pg_relation_is_publishable", Answer::Bool(false)),
    ("pg_relation_is_updatable", Answer::Int(0)),
    ("pg_statistics_obj_is_visible", Answer::Bool(true)),
    ("pg_table_is_visible", Answer::Bool(true)),
    ("pg_ts_config_is_visible", Answer::Bool(true)),
    ("pg_type_is_visible", Answer::Bool(true)),
    ("row_security_active", Answer::Bool(true)),
];

/// An answer.
#[derive(Clone, Copy)]
enum Answer {
    Bool(bool),
    Int(i32),
    Text(&'static str),
}

/// Functions that have a body of their own here.
const OWN: &[&str] = &[
    "array_lower",
    "array_upper",
    "current_catalog",
    "current_database",
    "current_role",
    "current_schemas",
    "current_setting",
    "current_user",
    "format",
    "format_type",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_foreign_data_wrapper_privilege",
    "has_function_privilege",
    "has_language_privilege",
    "has_schema_privilege",
    "has_sequence_privilege",
    "has_server_privilege",
    "has_table_privilege",
    "has_tablespace_privilege",
    "has_type_privilege",
    "pg_conf_load_time",
    "pg_get_constraintdef",
    "pg_get_indexdef",
    "pg_get_userbyid",
    "pg_postmaster_start_time",
    "pg_typeof",
    "quote_ident",
    "quote_literal",
    "session_user",
    "set_config",
    "to_regclass",
    "to_regnamespace",
    "to_regproc",
    "to_regrole",
    "to_regtype",
    "user",
    "version",
];

/// Functions that return rows, which the rewriting knows.
const ROWS: &[&str] = &["_pg_expandarray", "generate_subscripts", "pg_get_keywords"];

/// The most numbers of a series. Drivers number the columns of keys; for anything longer a query
/// has tables, whose rows are counted.
const LONGEST_SERIES: i32 = 100;

/// The longest text that is made of another, in bytes. Quoting may double a text, and calls can
/// be nested.
const LONGEST_TEXT: usize = 8_192;

/// Whether a function is one of a catalog's.
pub(super) fn is_known(name: &str) -> bool {
    OWN.contains(&name)
        || ROWS.contains(&name)
        || SILENT.iter().any(|(silent, _)| *silent == name)
        || ANSWERS.iter().any(|(answer, _)| *answer == name)
}

/// All of them.
pub(super) fn all(view: View<'_>) -> Vec<Arc<ScalarUDF>> {
    let mut functions = Functions::default();
    for (name, data_type) in SILENT {
        let null = ScalarValue::try_new_null(data_type).unwrap_or(ScalarValue::Null);
        functions.add(name, data_type.clone(), move |_| Ok(null.clone()));
    }
    for (name, answer) in ANSWERS {
        let value = match *answer {
            Answer::Bool(value) => ScalarValue::Boolean(Some(value)),
            Answer::Int(value) => ScalarValue::Int32(Some(value)),
            Answer::Text(value) => ScalarValue::from(value),
        };
        functions.add(name, value.data_type(), move |_| Ok(value.clone()));
    }
    functions.who_and_where(view);
    functions.may();
    functions.texts();
    functions.arrays();
    functions.names(view);
    functions.definitions(view);
    functions.list
}

/// The functions so far.
#[derive(Default)]
pub(super) struct Functions {
    list: Vec<Arc<ScalarUDF>>,
}

impl Functions {
    /// Adds one that always gives the same type.
    pub(super) fn add(
        &mut self,
        name: &str,
        gives: DataType,
        body: impl Fn(&[ScalarValue]) -> Result<ScalarValue> + Send + Sync + 'static,
    ) {
        let body: Body = Arc::new(body);
        self.list.push(function(name, Gives::Fixed(gives), body));
    }

    fn who_and_where(&mut self, view: View<'_>) {
        for name in ["current_catalog", "current_database"] {
            let workspace = ScalarValue::from(view.workspace);
            self.add(name, DataType::Utf8, move |_| Ok(workspace.clone()));
        }
        for name in ["current_role", "current_user", "session_user", "user"] {
            let user = ScalarValue::from(view.user);
            self.add(name, DataType::Utf8, move |_| Ok(user.clone()));
        }
        let version = format!(
            "PostgreSQL {VERSION} (syncguard {})",
            env!("CARGO_PKG_VERSION")
        );
        self.add("version", DataType::Utf8, move |_| {
            Ok(ScalarValue::from(version.as_str()))
        });
        self.add("current_schemas", text_list(), |args| {
            let implicit = matches!(args.first(), Some(ScalarValue::Boolean(Some(true))));
            let schemas: &[&str] = if implicit {
                &["pg_catalog", "public"]
            } else {
                &["public"]
            };
            Ok(texts(schemas))
        });
        for name in ["pg_conf_load_time", "pg_postmaster_start_time"] {
            let null = ScalarValue::try_new_null(&timestamp()).unwrap_or(ScalarValue::Null);
            self.add(name, timestamp(), move |_| Ok(null.clone()));
        }
        let user = view.user.to_owned();
        self.add("current_setting", DataType::Utf8, move |args| {
            let Some(name) = text(args.first()).map(str::to_lowercase) else {
                return Ok(ScalarValue::Utf8(None));
            };
            let setting = SETTINGS
                .iter()
                .copied()
                .chain([("session_authorization", user.as_str())])
                .find(|(setting, _)| *setting == name)
                .map(|(_, value)| value.to_owned());
            let missing_ok = matches!(args.get(1), Some(ScalarValue::Boolean(Some(true))));
            if setting.is_none() && !missing_ok {
                return Err(DataFusionError::Plan(format!(
                    "unrecognized configuration parameter \"{name}\""
                )));
            }
            Ok(ScalarValue::Utf8(setting))
        });
        self.add("set_config", DataType::Utf8, |args| {
            Ok(ScalarValue::Utf8(text(args.get(1)).map(str::to_owned)))
        });
    }

    fn may(&mut self) {
        for name in OWN.iter().filter(|name| name.starts_with("has_")) {
            self.add(name, DataType::Boolean, |args| {
                // The last argument names the privileges; any one of them is enough.
                let may = text(args.last()).is_some_and(|privileges| {
                    privileges.split(',').any(|privilege| {
                        matches!(
                            privilege.trim().to_lowercase().as_str(),
                            "select" | "usage" | "connect" | "execute"
                        )
                    })
                });
                Ok(ScalarValue::Boolean(Some(may)))
            });
        }
    }

    fn texts(&mut self) {
        self.add("quote_ident", DataType::Utf8, |args| {
            made(text(args.first()).map(quoted))
        });
        self.add("quote_literal", DataType::Utf8, |args| {
            made(text(args.first()).map(literal))
        });
        self.add("format", DataType::Utf8, |args| {
            let Some(pattern) = text(args.first()) else {
                return Ok(ScalarValue::Utf8(None));
            };
            made(Some(formatted(pattern, args.get(1..).unwrap_or_default())))
        });
        self.add("pg_typeof", DataType::Utf8, |args| {
            let title = args.first().map(|value| {
                let oid = types::pg_type(&value.data_type()).oid;
                type_title(i32::try_from(oid).unwrap_or_default(), None)
            });
            Ok(ScalarValue::Utf8(title))
        });
        self.add("__like_pattern", DataType::Utf8, |args| {
            let (Some(pattern), Some(escape)) = (text(args.first()), text(args.get(1))) else {
                return Ok(ScalarValue::Utf8(None));
            };
            made(Some(like_pattern(pattern, escape)))
        });
    }

    fn arrays(&mut self) {
        self.add("array_lower", DataType::Int32, |args| {
            let items = elements(args.first())?.unwrap_or_default();
            Ok(ScalarValue::Int32((!items.is_empty()).then_some(1)))
        });
        self.add("array_upper", DataType::Int32, |args| {
            let items = elements(args.first())?.unwrap_or_default();
            Ok(ScalarValue::Int32(
                i32::try_from(items.len()).ok().filter(|count| *count > 0),
            ))
        });
        self.add("__no_texts", text_list(), |_| Ok(texts(&[])));
        self.add("__contains", DataType::Boolean, |args| {
            let (Some(items), Some(item)) = (elements(args.first())?, args.get(1)) else {
                return Ok(ScalarValue::Boolean(None));
            };
            if item.is_null() {
                return Ok(ScalarValue::Boolean(None));
            }
            let item = item.to_string();
            Ok(ScalarValue::Boolean(Some(items.iter().any(|other| {
                !other.is_null() && other.to_string() == item
            }))))
        });
        let element: Body = Arc::new(|args| {
            let Some(items) = elements(args.first())? else {
                return null_element(args.first());
            };
            let position = int(args.get(1))
                .and_then(|number: i64| usize::try_from(number.checked_sub(1)?).ok());
            match position.and_then(|position| items.get(position)) {
                Some(item) => Ok(item.clone()),
                None => null_element(args.first()),
            }
        });
        self.list
            .push(function("__element", Gives::Element, element));
        let numbers = DataType::new_list(DataType::Int32, true);
        self.add("__series", numbers.clone(), |args| {
            let (Some(first), Some(last)) = (id(args.first()), id(args.get(1))) else {
                return Ok(int_list(Vec::new()));
            };
            if last.saturating_sub(first) >= LONGEST_SERIES {
                return Err(DataFusionError::Plan(format!(
                    "generate_series gives at most {LONGEST_SERIES} rows"
                )));
            }
            Ok(int_list((first..=last).collect()))
        });
        // The numbers of an array's elements, from 1 or from what the second argument says.
        self.add("__subscripts", numbers, |args| {
            let items = elements(args.first())?.unwrap_or_default();
            let first = id(args.get(1)).unwrap_or(1);
            let count = i32::try_from(items.len()).unwrap_or_default();
            Ok(int_list((first..first.saturating_add(count)).collect()))
        });
        // What `_pg_expandarray` gives, an element and its number, in one number.
        self.add(
            "__expand",
            DataType::new_list(DataType::Int32, true),
            |args| {
                let items = elements(args.first())?.unwrap_or_default();
                let pairs = (1_i32..)
                    .zip(&items)
                    .filter_map(|(number, item)| Some((id(Some(item))? << 12) | number))
                    .collect();
                Ok(int_list(pairs))
            },
        );
        self.add("__expand_x", DataType::Int32, |args| {
            Ok(ScalarValue::Int32(id(args.first()).map(|pair| pair >> 12)))
        });
        self.add("__expand_n", DataType::Int32, |args| {
            Ok(ScalarValue::Int32(
                id(args.first()).map(|pair| pair & 0xfff),
            ))
        });
        self.add("__array_text", DataType::Utf8, |args| {
            let Some(items) = elements(args.first())? else {
                return Ok(ScalarValue::Utf8(None));
            };
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            let vector = matches!(args.get(1), Some(ScalarValue::Boolean(Some(true))));
            made(Some(if vector {
                items.join(" ")
            } else {
                format!("{{{}}}", items.join(","))
            }))
        });
    }

    fn definitions(&mut self, view: View<'_>) {
        let mut constraints = BTreeMap::new();
        let mut indexes = BTreeMap::new();
        for relation in view.relations {
            let Some(key) = &relation.key else { continue };
            constraints.insert(
                key.constraint,
                format!("PRIMARY KEY ({})", relation.key_list()),
            );
            let columns: Vec<String> = relation
                .key_columns()
                .map(|column| quoted(&column.name))
                .collect();
            indexes.insert(key.index, (relation.index_definition(), columns));
        }
        self.add("pg_get_constraintdef", DataType::Utf8, move |args| {
            let definition = id(args.first()).and_then(|id| constraints.get(&id).cloned());
            Ok(ScalarValue::Utf8(definition))
        });
        self.add("pg_get_indexdef", DataType::Utf8, move |args| {
            let Some((definition, columns)) = id(args.first()).and_then(|id| indexes.get(&id))
            else {
                return Ok(ScalarValue::Utf8(None));
            };
            let number = int(args.get(1)).unwrap_or(0);
            if number == 0 {
                return Ok(ScalarValue::Utf8(definition.clone()));
            }
            let column = usize::try_from(number - 1)
                .ok()
                .and_then(|position| columns.get(position).cloned());
            Ok(ScalarValue::Utf8(Some(column.unwrap_or_default())))
        });
    }
}

/// A text that was made of others, unless it is too long.
fn made(text: Option<String>) -> Result<ScalarValue> {
    match text {
        Some(text) if text.len() > LONGEST_TEXT => Err(DataFusionError::Plan(format!(
            "a text that is quoted or formatted may have {LONGEST_TEXT} bytes"
        ))),
        text => Ok(ScalarValue::Utf8(text)),
    }
}

fn texts(items: &[&str]) -> ScalarValue {
    let items: Vec<ScalarValue> = items.iter().map(|item| ScalarValue::from(*item)).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Utf8))
}

fn int_list(items: Vec<i32>) -> ScalarValue {
    let items: Vec<ScalarValue> = items
        .into_iter()
        .map(|item| ScalarValue::Int32(Some(item)))
        .collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Int32))
}

/// NULL, of the type of an array's elements.
fn null_element(array: Option<&ScalarValue>) -> Result<ScalarValue> {
    match array {
        Some(ScalarValue::List(list)) => ScalarValue::try_new_null(&list.value_type()),
        Some(ScalarValue::LargeList(list)) => ScalarValue::try_new_null(&list.value_type()),
        _ => Ok(ScalarValue::Utf8(None)),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `format` with `%s`, `%I`, `%L` and `%%`.
fn formatted(pattern: &str, values: &[ScalarValue]) -> String {
    let mut values = values.iter();
    let mut out = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let kind = letters.next();
        if kind == Some('%') {
            out.push('%');
            continue;
        }
        let value = values
            .next()
            .filter(|value| !value.is_null())
            .map(ToString::to_string);
        match (kind, value) {
            (Some('I'), Some(value)) => out.push_str(&quoted(&value)),
            (Some('L'), Some(value)) => out.push_str(&literal(&value)),
            (Some('L'), None) => out.push_str("NULL"),
            (_, value) => out.push_str(&value.unwrap_or_default()),
        }
    }
    out
}

/// A LIKE pattern with its own escape character as one that is escaped by backslashes.
pub(super) fn like_pattern(pattern: &str, escape: &str) -> String {
    let escape = escape.chars().next();
    let mut out = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            out.push('\\');
            out.extend(letters.next());
        } else if letter == '\\' {
            out.push_str("\\\\");
        } else {
            out.push(letter);
        }
    }
    out
}
