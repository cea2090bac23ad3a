//! Command line options, told apart from arguments.

use crate::domain::policy::partial_text::{is_in, is_long};

/// The options of a command, in order, and the arguments that are left.
#[derive(Debug, Clone, Default)]
pub(in crate::domain::policy) struct Options {
    /// Options with their dashes taken off, and their values.
    pub(in crate::domain::policy) given: Vec<(String, Option<String>)>,
    /// Everything that is not an option.
    pub(in crate::domain::policy) rest: Vec<String>,
}

impl Options {
    /// Tells options and arguments apart wherever they stand; `short` and `long` name those with a value.
    pub(in crate::domain::policy) fn parse(args: &[String], short: &str, long: &[&str]) -> Self {
        Self::read(args, short, long, false)
    }

    /// Tells options apart up to the first argument; everything from there on is left alone.
    pub(in crate::domain::policy) fn leading(args: &[String], short: &str, long: &[&str]) -> Self {
        Self::read(args, short, long, true)
    }

    fn read(args: &[String], short: &str, long: &[&str], leading: bool) -> Self {
        let mut found = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                found.rest.extend(args.cloned());
                break;
            }
            if let Some(word) = arg.strip_prefix("--") {
                let (name, value) = word
                    .split_once('=')
                    .map_or((word, None), |(name, value)| (name, Some(value.to_owned())));
                let takes = long.iter().any(|long| is_long(arg, long));
                let value = if value.is_none() && takes {
                    args.next().cloned()
                } else {
                    value
                };
                found.given.push((name.to_owned(), value));
            } else if let Some(cluster) =
                arg.strip_prefix('-').filter(|cluster| !cluster.is_empty())
            {
                found.cluster(cluster, short, &mut args);
            } else {
                found.rest.push(arg.clone());
                if leading {
                    found.rest.extend(args.cloned());
                    break;
                }
            }
        }
        found
    }

    fn cluster<'a>(
        &mut self,
        cluster: &str,
        short: &str,
        args: &mut impl Iterator<Item = &'a String>,
    ) {
        for (at, letter) in cluster.char_indices() {
            if !short.contains(letter) {
                self.given.push((letter.to_string(), None));
                continue;
            }
            let rest = cluster.get(at + letter.len_utf8()..).unwrap_or("");
            let value = if rest.is_empty() {
                args.next().cloned()
            } else {
                Some(rest.to_owned())
            };
            self.given.push((letter.to_string(), value));
            return;
        }
    }

    /// Returns whether one of the options is given; a long one may be shortened.
    pub(in crate::domain::policy) fn has(&self, names: &[&str]) -> bool {
        self.given
            .iter()
            .any(|(given, _)| names.iter().any(|name| same(given, name)))
    }

    /// Returns the value of an option given last.
    pub(in crate::domain::policy) fn value(&self, name: &str) -> Option<&str> {
        let given = self.given.iter().rev();
        let mut named = given.filter(|(given, _)| same(given, name));
        named.find_map(|(_, value)| value.as_deref())
    }

    /// Returns the values of options, in order.
    pub(in crate::domain::policy) fn values<'a>(
        &'a self,
        names: &'a [&str],
    ) -> impl Iterator<Item = &'a str> {
        self.given
            .iter()
            .filter(|(given, _)| names.iter().any(|name| same(given, name)))
            .filter_map(|(_, value)| value.as_deref())
    }
}

/// Programs that pick tests and rules by patterns.
const PICKERS: &str = "
pytest py.test ctest mocha jest vitest ava phpunit pest rspec cucumber playwright cypress jasmine tap borp bats rails codecept behat behave
elm-test gotestsum ginkgo busted minitest wtr paratest karma infection dart flutter swiftlint nox tox bun deno artisan
";
/// The options with which they do.
const PATTERNS: &str = "
-k -R -E -L -LE -g -t -f -n -N --grep --fgrep --filter --testNamePattern --test-name-pattern --example --pattern --match --tests --tag
--name --name-pattern --title --only -run -skip --exclude-group --group --testsuite --grep-invert --scenario
";

/// Returns whether the value of an option is a pattern or a name for the program to pick by.
pub(in crate::domain::policy) fn picks(name: &str, option: &str) -> bool {
    // PowerShell hands letters on in small.
    let small = name == "ctest" && ["-r", "-e", "-l", "-le"].contains(&option);
    option.starts_with('-')
        && (is_in(PATTERNS, option) || small || name == "rspec" && option == "-e")
        && (is_in(PICKERS, name)
            || option.starts_with("--") && is_in("php node python python3 ruby", name))
}

fn same(given: &str, name: &str) -> bool {
    given == name || (name.len() > 1 && given.len() > 1 && name.starts_with(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn clusters_values_and_the_end_of_options_are_told_apart() {
        let found = Options::parse(
            &words("-xzf a.tar --strip 1 b --dir=c -- -d"),
            "f",
            &["strip"],
        );
        assert!(found.has(&["x"]) && found.has(&["z"]));
        assert_eq!(found.value("f"), Some("a.tar"));
        assert_eq!(found.value("strip"), Some("1"));
        assert_eq!(found.value("directory"), Some("c"));
        assert_eq!(found.rest, ["b", "-d"]);
    }

    #[test]
    fn leading_options_end_at_the_first_argument() {
        let found = Options::leading(&words("-n 5 rm -rf x"), "n", &[]);
        assert_eq!(found.rest, ["rm", "-rf", "x"]);
    }
}
