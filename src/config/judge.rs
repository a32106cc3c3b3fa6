//! Who judges what no detector covers.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::{Settings, bounded};

/// The environment variable with the key for the judge. There is no flag for it: the arguments of a
/// process can be read by everyone on the machine.
pub const JUDGE_KEY: &str = "SYNCGUARD_JUDGE_KEY";

/// A model behind an OpenAI-compatible URL.
#[derive(Clone, Debug)]
pub struct Judge {
    /// The base, without a slash at its end, such as `https://api.example.com/v1`.
    pub url: String,
    /// The name of the model.
    pub model: String,
    /// The key that is sent with each question.
    pub key: Option<SecretString>,
    /// How long the answer to a question may take.
    pub timeout: Duration,
}

impl Judge {
    /// What is set; `None` where there is no judge. What says nothing is not set, and where only a
    /// part is set that is a fault: it must not look as if somebody judged.
    pub(super) fn of(settings: &Settings, faults: &mut Vec<String>) -> Option<Judge> {
        let url = given(settings.judge_url.as_ref());
        let model = given(settings.judge_model.as_ref());
        let key = given(settings.judge_key.as_ref());
        let seconds = bounded(
            "judge_timeout_seconds",
            settings.judge_timeout_seconds,
            10,
            1..=300,
            faults,
        );
        let Some(url) = url else {
            if model.is_some() || key.is_some() {
                faults.push(
                    "judge_url: a model or a key for the judge is given, and no URL".to_owned(),
                );
            }
            return None;
        };
        if !is_base(url) {
            faults.push(
                "judge_url: expected the base of an OpenAI-compatible API, such as \
                 https://api.example.com/v1, without a user, a query and a fragment"
                    .to_owned(),
            );
        }
        let Some(model) = model else {
            faults.push("judge_model: name the model that judge_url is to ask".to_owned());
            return None;
        };
        if key.is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            faults.push(format!("{JUDGE_KEY}: expected visible ASCII characters"));
        }
        Some(Judge {
            url: url.trim_end_matches('/').to_owned(),
            model: model.to_owned(),
            key: key.map(SecretString::from),
            timeout: Duration::from_secs(seconds),
        })
    }
}

/// A setting without blanks around it, if it says anything. A variable that is passed on unset
/// reads as empty.
fn given(setting: Option<&String>) -> Option<&str> {
    let text = setting?.trim();
    (!text.is_empty()).then_some(text)
}

fn is_base(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
