//! Who can answer as a model. What else depends on it (words of the configuration, names of keys) is read from here.

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
