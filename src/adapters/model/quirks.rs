//! What a server turned out not to understand, learnt from its own refusals.
//!
//! Compatible servers and model families differ in which optional fields they accept. A refusal that
//! names such a field costs one unbilled request; afterwards the field is left out for the rest of the
//! process. Replies are parsed strictly in any case, so a missing schema loses no safety.

use crate::adapters::model::trouble::ApiErrorBody;

/// The optional parts of a request that one server and model refuse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct UnsupportedFields {
    /// Leave out the schema of the reply.
    pub(super) no_schema: bool,
    /// Leave out the temperature.
    pub(super) no_temperature: bool,
    /// Use the other one of the two names for the token ceiling.
    pub(super) other_ceiling: bool,
}

/// Words with which servers say that they do not know or take a field.
const REFUSALS: [&str; 12] = [
    "unsupported",
    "not supported",
    "does not support",
    "unrecognized",
    "unknown",
    "not permitted",
    "not allowed",
    "unexpected",
    "deprecated",
    "removed",
    "additional properties",
    "cannot be used",
];

/// The schema's field in the different protocols, and what servers call the feature.
const SCHEMA: [&str; 8] = [
    "response_format",
    "json_schema",
    "text.format",
    "output_config",
    "output_format",
    "structured output",
    "guided",
    "grammar",
];

impl UnsupportedFields {
    /// Returns what to try next after a refusal, or `None` when leaving out something would not help.
    pub(super) fn after(self, status: u16, error: &ApiErrorBody) -> Option<Self> {
        if !matches!(status, 400 | 422 | 501) {
            return None;
        }
        let text = format!(
            "{} {}",
            error.param.as_deref().unwrap_or_default(),
            error.message
        )
        .to_lowercase();
        let refuses = REFUSALS.iter().any(|word| text.contains(word));
        let names = |word: &str| text.contains(word);
        if !self.no_schema && SCHEMA.into_iter().any(names) {
            return Some(Self {
                no_schema: true,
                ..self
            });
        }
        if refuses && !self.no_temperature && names("temperature") {
            return Some(Self {
                no_temperature: true,
                ..self
            });
        }
        let ceiling = names("max_tokens") || names("max_completion_tokens");
        if refuses && ceiling && !self.other_ceiling {
            return Some(Self {
                other_ceiling: true,
                ..self
            });
        }
        (refuses && !self.no_schema && !names("model")).then_some(Self {
            no_schema: true,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(
        quirks: UnsupportedFields,
        status: u16,
        param: Option<&str>,
        message: &str,
    ) -> Option<UnsupportedFields> {
        let error = ApiErrorBody {
            param: param.map(str::to_owned),
            message: message.to_owned(),
            ..ApiErrorBody::default()
        };
        quirks.after(status, &error)
    }

    const NONE: UnsupportedFields = UnsupportedFields {
        no_schema: false,
        no_temperature: false,
        other_ceiling: false,
    };

    #[test]
    fn a_refused_field_is_left_out_once() {
        let schema = UnsupportedFields {
            no_schema: true,
            ..NONE
        };
        let message = "Invalid parameter: 'response_format' of type 'json_schema' is not supported";
        assert_eq!(learn(NONE, 400, None, message), Some(schema));
        assert_eq!(learn(schema, 400, None, message), None);
        assert_eq!(
            learn(
                NONE,
                422,
                None,
                "output_config: Extra inputs are not permitted"
            ),
            Some(schema)
        );
        assert_eq!(learn(NONE, 400, None, "Unsupported field"), Some(schema));
        let temperature = UnsupportedFields {
            no_temperature: true,
            ..NONE
        };
        let message = "Unsupported value: does not support 0.7 with this model";
        assert_eq!(
            learn(NONE, 400, Some("temperature"), message),
            Some(temperature)
        );
        let ceiling = UnsupportedFields {
            other_ceiling: true,
            ..NONE
        };
        let message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
        assert_eq!(learn(NONE, 400, None, message), Some(ceiling));
    }

    #[test]
    fn other_refusals_teach_nothing() {
        assert_eq!(
            learn(NONE, 400, None, "max_tokens is too large: 50000"),
            None
        );
        assert_eq!(learn(NONE, 400, None, "unknown model `x`"), None);
        assert_eq!(learn(NONE, 401, None, "response_format"), None);
        assert_eq!(
            learn(NONE, 400, Some("temperature"), "must be below 2"),
            None
        );
    }
}
