//! The columns that trees are tried on, and batches of them.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StructArray, UInt32Array, make_array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::columns::{column, parse_type};
use crate::support::repository_file;

/// Rows of the batch that all cases of a world slice from.
const WORLD_ROWS: usize = 1024;
const WORLDS: usize = 48;

/// `fixtures/differential.json`.
#[derive(Deserialize)]
struct Plan {
    lists: HashMap<String, Vec<Value>>,
    columns: Vec<Layout>,
    /// Names that no column bears.
    unknown: Vec<String>,
}

/// A column: a leaf, or a struct of columns.
#[derive(Deserialize)]
#[serde(untagged)]
enum Layout {
    Struct {
        name: String,
        fields: Vec<Layout>,
    },
    Leaf {
        name: String,
        #[serde(rename = "type")]
        data_type: String,
        /// What it draws from; `$name` stands for a list.
        values: Vec<Value>,
        /// What each text among the values may end in.
        suffixes: Option<Vec<String>>,
        /// What it is compared with, in ascending order.
        literals: Vec<Value>,
    },
}

impl Plan {
    fn spliced(&self, values: &[Value]) -> Vec<Value> {
        let list = |value: &Value| -> Vec<Value> {
            match value.as_str().and_then(|text| text.strip_prefix('$')) {
                Some(name) => self.lists[name].clone(),
                None => vec![value.clone()],
            }
        };
        values.iter().flat_map(list).collect()
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.lists[name]
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    }
}

/// A column as conditions name it.
pub(crate) struct Address {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) literals: Vec<Value>,
}

/// A column's type and the values it draws from.
enum Source {
    Leaf { data_type: DataType, pool: ArrayRef },
    Struct(Vec<(Field, Source)>),
}

pub(crate) struct Columns {
    fields: Vec<(Field, Source)>,
    pub(crate) schema: SchemaRef,
    pub(crate) addresses: Vec<Address>,
    /// How many of the addresses lead to a column.
    pub(crate) known: usize,
    /// Literals that fit few columns.
    pub(crate) misfits: Vec<Value>,
    pub(crate) parts: Vec<String>,
    pub(crate) patterns: Vec<String>,
    pub(crate) zones: Vec<String>,
    nows: Vec<String>,
}
impl Columns {
    fn new() -> Columns {
        let path = repository_file("fixtures/differential.json");
        let plan: Plan = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut addresses = vec![];
        let fields = sources(&plan, &plan.columns, "", &mut addresses);
        let known = addresses.len();
        for name in &plan.unknown {
            let (name, literals) = (name.clone(), vec![json!("x")]);
            addresses.push(Address {
                name,
                data_type: DataType::Utf8,
                literals,
            });
        }
        let schema: Vec<_> = fields.iter().map(|(field, _)| field.clone()).collect();
        Columns {
            schema: Arc::new(Schema::new(schema)),
            fields,
            addresses,
            known,
            misfits: plan.lists["misfits"].clone(),
            parts: plan.texts("parts"),
            patterns: plan.texts("patterns"),
            zones: plan.texts("zones"),
            nows: plan.texts("nows"),
        }
    }

    /// A time that stands for now: among them are the gap and the overlap of Berlin's clocks,
    /// and ends of months.
    pub(crate) fn now(&self, pick: u8) -> DateTime<Utc> {
        self.nows[usize::from(pick) % self.nows.len()]
            .parse()
            .unwrap()
    }
}

fn sources(
    plan: &Plan,
    layout: &[Layout],
    prefix: &str,
    addresses: &mut Vec<Address>,
) -> Vec<(Field, Source)> {
    let mut sources = vec![];
    for part in layout {
        let (name, source, literals) = match part {
            Layout::Struct { name, fields } => {
                let prefix = format!("{prefix}{name}.");
                let fields = self::sources(plan, fields, &prefix, addresses);
                (name, Source::Struct(fields), vec![json!("x")])
            }
            Layout::Leaf {
                name,
                data_type,
                values,
                suffixes,
                literals,
            } => {
                let data_type = parse_type(data_type);
                let mut values = plan.spliced(values);
                if let Some(suffixes) = suffixes {
                    let end = |value: &Value| -> Vec<Value> {
                        let text = value.as_str().unwrap();
                        suffixes
                            .iter()
                            .map(|suffix| json!(format!("{text}{suffix}")))
                            .collect()
                    };
                    values = values.iter().flat_map(end).collect();
                }
                let pool = column(&data_type, &values);
                (
                    name,
                    Source::Leaf { data_type, pool },
                    plan.spliced(literals),
                )
            }
        };
        let data_type = source.data_type();
        let address = format!("{prefix}{name}");
        addresses.push(Address {
            name: address,
            data_type: data_type.clone(),
            literals,
        });
        sources.push((Field::new(name, data_type, true), source));
    }
    sources
}

impl Source {
    fn data_type(&self) -> DataType {
        match self {
            Source::Leaf { data_type, .. } => data_type.clone(),
            Source::Struct(fields) => {
                DataType::Struct(fields.iter().map(|(field, _)| field.clone()).collect())
            }
        }
    }

    /// Values drawn at random, some hidden under NULLs: what lies below a NULL is not zero.
    fn draw(&self, rng: &mut StdRng, rows: usize) -> ArrayRef {
        let nulls = match rng.random_range(0..20) {
            0..3 => None,
            3 => Some(NullBuffer::new_null(rows)),
            often => {
                let chance = f64::from(often) / 40.0;
                Some(
                    (0..rows)
                        .map(|_| !rng.random_bool(chance))
                        .collect::<NullBuffer>(),
                )
            }
        };
        match self {
            Source::Leaf { pool, data_type } => {
                let picks: UInt32Array = (0..rows)
                    .map(|_| Some(rng.random_range(0..pool.len() as u32)))
                    .collect();
                let drawn = take(pool, &picks, None).unwrap();
                match nulls {
                    Some(nulls) if *data_type != DataType::Null => {
                        let hidden = drawn.to_data().into_builder().nulls(Some(nulls));
                        make_array(hidden.build().unwrap())
                    }
                    _ => drawn,
                }
            }
            Source::Struct(fields) => {
                let children = fields
                    .iter()
                    .map(|(_, child)| child.draw(rng, rows))
                    .collect();
                let fields = fields.iter().map(|(field, _)| field.clone()).collect();
                Arc::new(StructArray::new(fields, children, nulls))
            }
        }
    }
}

/// Batches to slice from, made when first asked for.
pub(crate) struct Worlds {
    pub(crate) columns: Columns,
    seed: u64,
    batches: Vec<OnceCell<RecordBatch>>,
}

impl Worlds {
    pub(crate) fn new(seed: u64) -> Worlds {
        let batches = (0..WORLDS).map(|_| OnceCell::new()).collect();
        Worlds {
            columns: Columns::new(),
            seed,
            batches,
        }
    }

    pub(crate) fn slice(&self, place: Place) -> RecordBatch {
        let world = self.batches[place.world].get_or_init(|| {
            let mut rng = StdRng::seed_from_u64(self.seed.wrapping_add(place.world as u64));
            let columns = self
                .columns
                .fields
                .iter()
                .map(|(_, source)| source.draw(&mut rng, WORLD_ROWS))
                .collect();
            RecordBatch::try_new(self.columns.schema.clone(), columns).unwrap()
        });
        world.slice(place.start, place.rows)
    }
}

/// Which rows a case judges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    world: usize,
    pub(crate) start: usize,
    rows: usize,
}

pub(crate) fn places() -> impl Strategy<Value = Place> {
    (0..WORLDS, 0..WORLD_ROWS - 64, 0..64usize).prop_map(|(world, start, rows)| Place {
        world,
        start,
        rows,
    })
}
