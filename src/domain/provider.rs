//! Who can answer as a model. What else depends on it (words of the configuration, names of keys) is read from here.

use std::fmt;

macro_rules! providers {
    ($($(#[$meta:meta])* $name:ident $word:literal $key:expr;)*) => {
        /// Who can answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Provider {
            $($(#[$meta])* $name,)*
        }

        impl Provider {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// What a configuration may say; `auto` leaves it to the role.
            pub const CHOICES: &'static [&'static str] = &["auto", $($word),*];

            /// Returns the provider's word in files and messages.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// Returns the environment variable in which users keep this provider's key, where it needs one.
            pub const fn key_variable(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => $key,)*
                }
            }
        }
    };
}

providers! {
    /// `OpenAI`, and every server that speaks its language.
    OpenAi "openai" Some("OPENAI_API_KEY");
    /// Anthropic, and every gateway that speaks its language.
    Anthropic "anthropic" Some("ANTHROPIC_API_KEY");
    /// A program of this machine that reads the prompt and writes the answer.
    Command "command" None;
    /// A recording.
    Replay "replay" None;
}

impl Provider {
    /// Returns the provider with this word, if there is one.
    pub fn from_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|known| known.as_str() == word)
    }

    /// Returns whether an environment variable holds the key of a provider, which commands never receive.
    pub fn is_key_variable(name: &str) -> bool {
        Self::ALL.iter().any(|one| one.key_variable() == Some(name))
    }
}

/// Which of OpenAI's two protocols to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OpenAiApi {
    /// `/chat/completions`, which every compatible server has.
    #[default]
    ChatCompletions,
    /// `/responses`.
    Responses,
}

impl OpenAiApi {
    /// Returns the protocol with this word (`chat` or `responses`), if there is one.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "chat" => Some(Self::ChatCompletions),
            "responses" => Some(Self::Responses),
            _ => None,
        }
    }
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value; blanks and line ends around it (from files, mostly) are dropped.
    pub fn new(value: &str) -> Self {
        Self(value.trim().to_owned())
    }

    /// Returns the value, for the header it belongs into and for removing it from texts.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_to_their_provider_and_names_of_keys_are_known() {
        for provider in Provider::ALL {
            assert_eq!(Provider::from_word(provider.as_str()), Some(*provider));
            assert!(Provider::CHOICES.contains(&provider.as_str()));
            assert!(
                provider
                    .key_variable()
                    .is_none_or(Provider::is_key_variable)
            );
        }
        assert_eq!(Provider::from_word("auto"), None);
        assert!(!Provider::is_key_variable("JAVA_HOME"));
    }
}
