//! The catalogs that clients read: what they list tables, columns and types from.
//!
//! A statement that asks for them is rewritten first, because clients write for PostgreSQL:
//! `rewrite` turns what the engine does not know into what it does. The rows come from `rows` and
//! `information`, the functions from `functions` and `names`. Only the caller's own models are
//! described, and of their contents nothing: no sizes, no counts, no statistics.

mod builtin;
mod columns;
mod functions;
mod information;
mod names;
mod relations;
mod rewrite;
mod rows;
mod scalar;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast;

use crate::catalog::Model;
use crate::guard::session::Extras;
use crate::query::QueryError;
use rows::View;

/// The catalogs as one connection sees them.
#[derive(Clone, Debug)]
pub(super) struct Catalog {
    workspace: String,
    user: String,
}

impl Catalog {
    /// The catalogs of a workspace, which is the database, for an account, which is the role.
    pub(super) fn new(workspace: &str, user: &str) -> Catalog {
        Catalog {
            workspace: workspace.to_owned(),
            user: user.to_owned(),
        }
    }

    /// Whether a statement reads the catalogs or calls their functions. If so it is rewritten to
    /// what the engine knows, and is to be run with [`Catalog::extras`]; otherwise it stays as
    /// it is.
    pub(super) fn prepare(&self, statement: &mut ast::Statement) -> bool {
        rewrite::prepare(statement)
    }

    /// The tables and functions, describing the models of the caller.
    pub(super) fn extras(&self, models: &[Model]) -> Result<Extras, QueryError> {
        let relations = relations::describe(models);
        let view = View {
            workspace: &self.workspace,
            user: &self.user,
            relations: &relations,
        };
        let mut pg_catalog = BTreeMap::new();
        for table in tables::PG_CATALOG {
            let rows = rows::rows(table.name, view);
            pg_catalog.insert(table.name.to_owned(), table.batch(&rows)?);
        }
        let mut information_schema = BTreeMap::new();
        for table in tables::INFORMATION_SCHEMA {
            let rows = information::rows(table.name, view);
            information_schema.insert(table.name.to_owned(), table.batch(&rows)?);
        }
        Ok(Extras {
            schemas: BTreeMap::from([
                ("information_schema".to_owned(), information_schema),
                ("pg_catalog".to_owned(), pg_catalog),
            ]),
            functions: functions::all(view),
        })
    }
}
