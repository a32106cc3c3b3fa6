//! National identifiers and their check digits.

mod de;
mod es;
mod fr;
mod it;
mod uk;
mod us;

use super::edge::MANY;
use super::{Probe, Topic, Trigger};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        detector: Detector::UsSsn,
        trigger: Trigger::Digits(9, MANY),
        find: us::find,
    },
    Probe {
        detector: Detector::UkNino,
        trigger: Trigger::Digits(6, 6),
        find: uk::find,
    },
    Probe {
        detector: Detector::DeId,
        trigger: Trigger::Digits(11, MANY),
        find: de::tax,
    },
    Probe {
        detector: Detector::DeId,
        trigger: Trigger::Digits(2, 10),
        find: de::card,
    },
    Probe {
        detector: Detector::DeId,
        trigger: Trigger::Mark(&["ausweis", "identity card", "id card", "idd<<"]),
        find: de::named,
    },
    Probe {
        detector: Detector::DeId,
        trigger: Trigger::Column(Topic::DeId),
        find: de::named,
    },
    Probe {
        detector: Detector::FrNir,
        trigger: Trigger::Digits(6, MANY),
        find: fr::find,
    },
    Probe {
        detector: Detector::EsDni,
        trigger: Trigger::Digits(7, MANY),
        find: es::find,
    },
    Probe {
        detector: Detector::ItCodiceFiscale,
        trigger: Trigger::Digits(2, 2),
        find: it::find,
    },
];
