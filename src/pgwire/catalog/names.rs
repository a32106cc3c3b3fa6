//! Names to ids and back: what casts to `regclass` and its kin are rewritten to.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, ScalarValue};

use super::builtin::{
    INFORMATION_SCHEMA, OWNER, OWNER_NAME, PG_CATALOG, PUBLIC, ROLE, type_named, type_title,
};
use super::functions::Functions;
use super::relations::{Relation, parsed, quoted};
use super::rows::{View, catalog_name, catalog_oid, function_oid};
use super::scalar::{id, text};

impl Functions {
    /// Adds them.
    pub(super) fn names(&mut self, view: View<'_>) {
        let known = Arc::new(Known::of(view.relations));
        let relations = Arc::clone(&known);
        self.add("to_regclass", DataType::Int32, move |args| {
            Ok(ScalarValue::Int32(relations.id(args.first())))
        });
        let relations = Arc::clone(&known);
        self.add("__regclass", DataType::Int32, move |args| {
            let found = relations.id(args.first());
            match text(args.first()) {
                Some(name) if found.is_none() => Err(DataFusionError::Plan(format!(
                    "relation \"{name}\" does not exist"
                ))),
                _ => Ok(ScalarValue::Int32(found)),
            }
        });
        self.add("__relname", DataType::Utf8, move |args| {
            let id = known.id(args.first());
            Ok(ScalarValue::Utf8(id.map(|id| known.name(id))))
        });
        for name in ["to_regtype", "__regtype"] {
            let strict = name == "__regtype";
            self.add(name, DataType::Int32, move |args| {
                let found = id(args.first()).or_else(|| text(args.first()).and_then(type_named));
                match text(args.first()) {
                    Some(name) if strict && found.is_none() => Err(DataFusionError::Plan(format!(
                        "type \"{name}\" does not exist"
                    ))),
                    _ => Ok(ScalarValue::Int32(found)),
                }
            });
        }
        for name in ["format_type", "__typname"] {
            self.add(name, DataType::Utf8, |args| {
                let oid = id(args.first()).or_else(|| text(args.first()).and_then(type_named));
                let modifier = id(args.get(1));
                Ok(ScalarValue::Utf8(oid.map(|oid| type_title(oid, modifier))))
            });
        }
        for name in ["to_regproc", "__regproc"] {
            self.add(name, DataType::Utf8, |args| {
                Ok(ScalarValue::Utf8(match text(args.first()) {
                    Some(name) => Some(parsed(name).1),
                    None => id(args.first()).map(|id| match id {
                        0 => "-".to_owned(),
                        id => id.to_string(),
                    }),
                }))
            });
        }
        self.add("__procoid", DataType::Int32, |args| {
            Ok(ScalarValue::Int32(text(args.first()).map(function_oid)))
        });
        for name in ["to_regnamespace", "__regnamespace"] {
            self.add(name, DataType::Int32, |args| {
                Ok(ScalarValue::Int32(id(args.first()).or_else(|| {
                    match parsed(text(args.first())?).1.as_str() {
                        "public" => Some(PUBLIC),
                        "pg_catalog" => Some(PG_CATALOG),
                        "information_schema" => Some(INFORMATION_SCHEMA),
                        _ => None,
                    }
                })))
            });
        }
        self.add("__nspname", DataType::Utf8, |args| {
            let name = match (id(args.first()), text(args.first())) {
                (Some(PUBLIC), _) => Some("public".to_owned()),
                (Some(PG_CATALOG), _) => Some("pg_catalog".to_owned()),
                (Some(INFORMATION_SCHEMA), _) => Some("information_schema".to_owned()),
                (Some(id), _) => Some(id.to_string()),
                (None, name) => name.map(str::to_owned),
            };
            Ok(ScalarValue::Utf8(name))
        });
        for name in ["to_regrole", "__regrole"] {
            let user = view.user.to_owned();
            self.add(name, DataType::Int32, move |args| {
                let named = text(args.first()).and_then(|name| match parsed(name).1 {
                    name if name == user => Some(ROLE),
                    name if name == OWNER_NAME => Some(OWNER),
                    _ => None,
                });
                Ok(ScalarValue::Int32(id(args.first()).or(named)))
            });
        }
        for name in ["pg_get_userbyid", "__rolname"] {
            let user = view.user.to_owned();
            self.add(name, DataType::Utf8, move |args| {
                let name = match id(args.first()) {
                    Some(OWNER) => Some(OWNER_NAME.to_owned()),
                    Some(ROLE) => Some(user.clone()),
                    Some(other) => Some(format!("unknown (OID={other})")),
                    None => text(args.first()).map(str::to_owned),
                };
                Ok(ScalarValue::Utf8(name))
            });
        }
    }
}

/// Ids of relations by name, and names by id.
struct Known {
    ids: BTreeMap<String, i32>,
    names: BTreeMap<i32, String>,
}

impl Known {
    fn of(relations: &[Relation]) -> Known {
        let pairs: Vec<(&str, i32)> = relations
            .iter()
            .flat_map(|relation| {
                let key = relation.key.as_ref();
                [Some((relation.name.as_str(), relation.oid))]
                    .into_iter()
                    .chain([key.map(|key| (key.name.as_str(), key.index))])
                    .flatten()
            })
            .collect();
        Known {
            ids: pairs
                .iter()
                .map(|(name, id)| ((*name).to_owned(), *id))
                .collect(),
            names: pairs
                .iter()
                .map(|(name, id)| (*id, (*name).to_owned()))
                .collect(),
        }
    }

    fn id(&self, value: Option<&ScalarValue>) -> Option<i32> {
        if let Some(id) = id(value) {
            return Some(id);
        }
        let (schema, name) = parsed(text(value)?);
        let catalog = || catalog_oid(&name);
        let model = || self.ids.get(&name).copied();
        match schema.as_deref() {
            None => catalog().or_else(model),
            Some("pg_catalog") => catalog(),
            Some("public") => model(),
            Some(_) => None,
        }
    }

    fn name(&self, id: i32) -> String {
        match (id, self.names.get(&id)) {
            (0, _) => "-".to_owned(),
            (_, Some(name)) => quoted(name),
            (id, None) => catalog_name(id).map_or_else(|| id.to_string(), str::to_owned),
        }
    }
}
