//! A filter tree as sets of values: what compiling merges before it becomes an expression.
//!
//! Negation is pushed down to the conditions, where each becomes the set of values for which it
//! (or its opposite) is TRUE. Above them only AND and OR remain, which cannot make a TRUE out of
//! a NULL; so NULL and FALSE need no telling apart, and conditions on one column are plain set
//! algebra: a thousand of them joined by OR are one look-up.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::datatypes::DataType;

use super::leaf::Pattern;
use super::ordinal::{Intervals, Ordinal};

/// Where a tree is TRUE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Plan {
    /// Everywhere, or nowhere.
    Always(bool),
    /// Where every part is.
    All(Vec<Plan>),
    /// Where any part is.
    Any(Vec<Plan>),
    /// Where a column has certain values.
    Values(Column, Values),
}

/// A column as the conditions name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Column {
    /// Index of the top-level column in the model's schema.
    pub(super) root: usize,
    /// Index of the child at each struct below it.
    pub(super) children: Vec<usize>,
    /// Its type.
    pub(super) data_type: DataType,
}

/// A set of values of a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Values {
    /// Values that have an order.
    Ordinals {
        /// Whether NULL is among them.
        nulls: bool,
        /// Whether NaN is; it is only where all numbers are, too.
        nans: bool,
        /// The others.
        set: Intervals,
        /// Least and greatest value of the type.
        domain: (Ordinal, Ordinal),
    },
    /// Texts: those listed, or with `complement` all others.
    Texts {
        nulls: bool,
        fold: bool,
        complement: bool,
        set: BTreeSet<String>,
    },
    /// Texts in which any of the patterns is found, or with `negated` none is.
    Patterns {
        fold: bool,
        negated: bool,
        patterns: BTreeSet<Pattern>,
    },
    /// NULL, anything but NULL, both or neither, for any type.
    Presence { nulls: bool, values: bool },
    /// Lists that are NULL or have no elements; with `negated` all others.
    EmptyList { negated: bool },
    /// Lists with an element in each of the sets; with `negated`, those that lack one.
    Lists { negated: bool, each: Vec<Values> },
}

/// What joins the parts of a group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    And,
    Or,
}

impl Joint {
    /// The joint of the opposite: NOT (a AND b) is NOT a OR NOT b.
    pub(super) fn flipped(self, negated: bool) -> Joint {
        match (self, negated) {
            (Joint::And, false) | (Joint::Or, true) => Joint::And,
            (Joint::Or, false) | (Joint::And, true) => Joint::Or,
        }
    }
}

/// Joins plans, merging what can be merged.
pub(super) fn join(joint: Joint, plans: Vec<Plan>) -> Plan {
    // `false AND ..` is false, `true OR ..` is true: that constant decides, the other is idle.
    let deciding = joint == Joint::Or;
    let mut groups: HashMap<(Column, Kind), Vec<Values>> = HashMap::new();
    let mut order = Vec::new();
    let mut others = Vec::new();
    let mut seen = HashSet::new();
    let mut queue: Vec<Plan> = plans.into_iter().rev().collect();
    while let Some(plan) = queue.pop() {
        match plan {
            Plan::Always(constant) if constant == deciding => return Plan::Always(deciding),
            Plan::Always(_) => {}
            Plan::All(parts) if joint == Joint::And => queue.extend(parts.into_iter().rev()),
            Plan::Any(parts) if joint == Joint::Or => queue.extend(parts.into_iter().rev()),
            Plan::Values(column, values) => match values.kind(joint) {
                Some(kind) => {
                    let key = (column, kind);
                    let group = groups.entry(key.clone()).or_insert_with(|| {
                        order.push(key);
                        Vec::new()
                    });
                    group.push(values);
                }
                None => push_once(Plan::Values(column, values), &mut seen, &mut others),
            },
            other => push_once(other, &mut seen, &mut others),
        }
    }
    let mut parts = Vec::with_capacity(order.len() + others.len());
    for key in order {
        let Some(values) = groups.remove(&key).and_then(|group| merge(joint, group)) else {
            continue;
        };
        match values.constant() {
            Some(constant) if constant == deciding => return Plan::Always(deciding),
            Some(_) => {}
            None => parts.push(Plan::Values(key.0, values)),
        }
    }
    parts.extend(others);
    match (parts.pop(), parts.is_empty()) {
        (None, _) => Plan::Always(!deciding),
        (Some(only), true) => only,
        (Some(last), false) => {
            parts.push(last);
            match joint {
                Joint::And => Plan::All(parts),
                Joint::Or => Plan::Any(parts),
            }
        }
    }
}

fn push_once(plan: Plan, seen: &mut HashSet<Plan>, plans: &mut Vec<Plan>) {
    if seen.insert(plan.clone()) {
        plans.push(plan);
    }
}

/// Sets of values of one column that can be merged into one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Ordinals,
    Texts { fold: bool },
    Patterns { fold: bool },
    Presence,
}

impl Values {
    fn kind(&self, joint: Joint) -> Option<Kind> {
        match self {
            Values::Ordinals { .. } => Some(Kind::Ordinals),
            Values::Texts { fold, .. } => Some(Kind::Texts { fold: *fold }),
            // "a is found OR b is found" is one search, and so is "neither a nor b is".
            Values::Patterns { fold, negated, .. } if *negated == (joint == Joint::And) => {
                Some(Kind::Patterns { fold: *fold })
            }
            Values::Presence { .. } => Some(Kind::Presence),
            Values::Patterns { .. } | Values::EmptyList { .. } | Values::Lists { .. } => None,
        }
    }

    /// Whether every value, NULL included, is in the set, or none is.
    pub(super) fn constant(&self) -> Option<bool> {
        match self {
            Values::Ordinals {
                nulls, nans, set, ..
            } => {
                // NaN belongs to the set only where IS NOT NULL was part of it, so a float
                // column is complete only with it.
                let all = *nans;
                match (nulls, set.is_empty()) {
                    (true, false) if all => Some(true),
                    (false, true) if !nans => Some(false),
                    _ => None,
                }
            }
            Values::Texts {
                nulls,
                complement,
                set,
                ..
            } if set.is_empty() => (nulls == complement).then_some(*nulls),
            Values::Presence { nulls, values } => (nulls == values).then_some(*nulls),
            _ => None,
        }
    }
}

fn merge(joint: Joint, group: Vec<Values>) -> Option<Values> {
    let either = |a: bool, b: bool| match joint {
        Joint::And => a && b,
        Joint::Or => a || b,
    };
    let mut group = group.into_iter();
    let first = group.next()?;
    Some(match first {
        Values::Ordinals {
            mut nulls,
            mut nans,
            set,
            domain,
        } => {
            let mut sets = vec![set];
            for values in group {
                if let Values::Ordinals {
                    nulls: n,
                    nans: a,
                    set,
                    ..
                } = values
                {
                    nulls = either(nulls, n);
                    nans = either(nans, a);
                    sets.push(set);
                }
            }
            let set = match (joint, sets.len()) {
                (_, 1) => sets.pop()?,
                (Joint::And, _) => Intervals::intersection(sets, domain),
                (Joint::Or, _) => Intervals::union(sets),
            };
            Values::Ordinals {
                nulls,
                nans,
                set,
                domain,
            }
        }
        Values::Texts {
            mut nulls,
            fold,
            mut complement,
            mut set,
        } => {
            for values in group {
                if let Values::Texts {
                    nulls: n,
                    complement: c,
                    set: s,
                    ..
                } = values
                {
                    nulls = either(nulls, n);
                    (complement, set) = texts(joint, (complement, set), (c, s));
                }
            }
            Values::Texts {
                nulls,
                fold,
                complement,
                set,
            }
        }
        Values::Patterns {
            fold,
            negated,
            mut patterns,
        } => {
            for values in group {
                if let Values::Patterns { patterns: more, .. } = values {
                    patterns.extend(more);
                }
            }
            Values::Patterns {
                fold,
                negated,
                patterns,
            }
        }
        Values::Presence {
            mut nulls,
            mut values,
        } => {
            for other in group {
                if let Values::Presence {
                    nulls: n,
                    values: v,
                } = other
                {
                    nulls = either(nulls, n);
                    values = either(values, v);
                }
            }
            Values::Presence { nulls, values }
        }
        other => other,
    })
}

type TextSet = (bool, BTreeSet<String>);

/// Union or intersection of sets that are each given by their members or by what they lack.
fn texts(joint: Joint, (a_complement, mut a): TextSet, (b_complement, mut b): TextSet) -> TextSet {
    match (a_complement, b_complement, joint) {
        (false, false, Joint::Or) | (true, true, Joint::And) => {
            if a.len() < b.len() {
                std::mem::swap(&mut a, &mut b);
            }
            a.extend(b);
            (a_complement, a)
        }
        (false, false, Joint::And) | (true, true, Joint::Or) => {
            a.retain(|text| b.contains(text));
            (a_complement, a)
        }
        (true, false, Joint::Or) | (false, true, Joint::And) => {
            a.retain(|text| !b.contains(text));
            (a_complement, a)
        }
        (false, true, Joint::Or) | (true, false, Joint::And) => {
            b.retain(|text| !a.contains(text));
            (b_complement, b)
        }
    }
}
