//! What the clauses of a sentence come to, once all of them are known.

use super::{Clause, Item, Kind, Mention, Reading, Said};
use crate::policy::content::Detectors;

impl Reading<'_> {
    pub(super) fn finish(mut self, with_asides: bool) -> Said {
        let mut said = Said::default();
        if let [first, next, ..] = self.clauses.as_mut_slice()
            && first.leading
        {
            let permits = match next.sign {
                0 => self.usually_permits,
                sign => sign > 0,
            };
            first.sign = if permits { -1 } else { 1 };
        }
        // "allowed, with consent": what is left over limits what is permitted.
        for clause in &self.clauses {
            let limits = |item: &Item| item.unknown && item.terms.is_empty();
            if clause.sign == 0 && !clause.has_terms() && clause.items.first().is_some_and(limits) {
                self.conditional = true;
            }
        }
        if with_asides {
            for (range, clause) in std::mem::take(&mut self.asides) {
                let permits = self
                    .clauses
                    .get(clause)
                    .or(self.clauses.last())
                    .map_or(self.usually_permits, |clause| self.permits(clause));
                let tokens = self.tokens.get(range).unwrap_or_default();
                let mut aside = Reading::new(tokens, self.usually_permits, Some(permits));
                aside.run();
                let aside = aside.finish(false);
                said.mentions.extend(aside.mentions);
                said.unknown.extend(aside.unknown);
                self.conditional |= aside.conditional;
            }
        }
        // "may be collected, but must never be shared": all of what it is about is forbidden.
        let mut permitted = false;
        for clause in &self.clauses {
            self.conditional |= permitted && clause.sign < 0 && !clause.has_terms();
            permitted |= self.permits(clause) && clause.has_terms();
        }
        let mut base = Detectors::NONE;
        let mut forbids = self.clauses.is_empty() && !self.usually_permits;
        for clause in &self.clauses {
            let permits = self.permits(clause);
            forbids |= !permits;
            said.explicit |= clause.sign != 0;
            self.tell(clause, permits, base, &mut said);
            if !clause.except {
                base = clause.detectors();
            }
        }
        for condition in &self.conditions {
            // "Block it if it contains phone numbers", "it may be shared if it contains none".
            let named =
                !condition.unless && !condition.terms.is_empty() && (forbids || condition.negated);
            if !named {
                said.unknown.push(condition.at.clone());
                continue;
            }
            said.mentions
                .extend(condition.terms.iter().map(|(detectors, rank)| Mention {
                    detectors: *detectors,
                    rank: *rank,
                    permitted: false,
                }));
        }
        said.conditional = self.conditional;
        said.permitting = self
            .clauses
            .iter()
            .any(|clause| clause.sign > 0 && !clause.except);
        let no_more_than_forbids =
            said.unknown.is_empty() && self.clauses.iter().all(|clause| clause.sign < 0);
        let begins_with_only = self.kind(0) == Some(Kind::Only);
        said.restricts = said.mentions.is_empty()
            && match said.explicit {
                true => no_more_than_forbids,
                false => begins_with_only || (self.clauses.is_empty() && said.conditional),
            };
        said.permits = self
            .clauses
            .last()
            .map_or(self.clause.sign > 0, |last| last.sign > 0)
            && !(self.conditional || said.limited);
        said
    }

    fn tell(&self, clause: &Clause, permits: bool, base: Detectors, said: &mut Said) {
        if clause.unclear {
            said.unknown
                .extend(clause.items.iter().filter_map(|item| item.at.clone()));
            return;
        }
        if !permits {
            for item in &clause.items {
                said.mentions.extend(mentions(item, false));
                if item.terms.is_empty() && item.unknown && !item.trailing {
                    said.unknown.extend(item.at.clone());
                }
            }
            return;
        }
        let limit = |item: &Item| {
            item.unknown && (!item.terms.is_empty() || item.limits || item.trailing)
                || item.trailing && !item.terms.is_empty()
                || item.unknown && clause.limited
        };
        let limited = clause.items.iter().any(limit);
        said.limited |= limited;
        said.unknown.extend(
            clause
                .items
                .iter()
                .filter(|item| limit(item))
                .filter_map(|item| item.at.clone()),
        );
        let mut excepted = Detectors::NONE;
        for item in &clause.items {
            for mention in mentions(item, true) {
                // Of what was never forbidden, nothing can be excepted.
                let foreign = clause.except
                    && !base.in_common(excepted).is_empty()
                    && base.in_common(mention.detectors).is_empty();
                said.mentions.push(Mention {
                    permitted: !(limited || self.conditional || foreign),
                    ..mention
                });
                excepted = excepted.and(mention.detectors);
            }
        }
        if let (Some(start), Some(end), false) = (
            clause.only,
            clause
                .items
                .iter()
                .filter_map(|item| item.at.as_ref())
                .map(|at| at.end)
                .max(),
            limited,
        ) {
            said.unknown.push(start..end);
        }
    }
}

fn mentions(item: &Item, permitted: bool) -> impl Iterator<Item = Mention> {
    item.terms.iter().map(move |(detectors, rank)| Mention {
        detectors: *detectors,
        rank: *rank,
        permitted,
    })
}
