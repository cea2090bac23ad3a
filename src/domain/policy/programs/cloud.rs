//! Questions to the services that are set up for the account: what there is, and nothing that is secret.
//!
//! What is not exactly such a question stays what any talk to another machine is.

/// Returns whether a program only asks the service that is set up for this account what there is, and for nothing that is secret.
pub(super) fn asks(name: &str, args: &[String]) -> bool {
    const ELSEWHERE: [&str; 10] = [
        "--endpoint-url",
        "--no-verify-ssl",
        "--ca-bundle",
        "--cli-input-json",
        "--cli-input-yaml",
        "--debug",
        "--log-http",
        "--hostname",
        "--kube-apiserver",
        "--kubeconfig",
    ];
    const SECRET: [&str; 15] = [
        "secret",
        "key",
        "credential",
        "token",
        "password",
        "connection-string",
        "appsettings",
        "sas",
        "publishing-profile",
        "kms",
        "ssm",
        "get-login",
        "user-data",
        "env",
        "access",
    ];
    let option = |arg: &String| arg.split('=').next().unwrap_or(arg).to_owned();
    let reads_file = |arg: &String| arg.starts_with("file://") || arg.starts_with("fileb://");
    if args
        .iter()
        .any(|arg| ELSEWHERE.contains(&option(arg).as_str()) || reads_file(arg))
    {
        return false;
    }
    let words: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .take_while(|arg| !arg.starts_with('-'))
        .collect();
    let is_secret = words
        .iter()
        .any(|word| SECRET.iter().any(|secret| word.contains(secret)));
    is_question(name, &words, args) && (!is_secret || words.starts_with(&["config"]))
}

/// Returns whether words only ask what there is.
fn is_question(name: &str, words: &[&str], args: &[String]) -> bool {
    let lists = |verb: &str| ["list", "ls", "describe", "show"].contains(&verb);
    match (name, words) {
        (
            "aws",
            ["sts", "get-caller-identity"]
            | ["configure", "list" | "list-profiles"]
            | ["s3", "ls", ..],
        ) => true,
        ("aws", ["logs", "tail" | "filter-log-events", ..]) => true,
        ("aws", [_, verb, ..]) => verb.starts_with("describe-") || verb.starts_with("list-"),
        (
            "gcloud",
            ["config", "list" | "get-value" | "get", ..]
            | ["info"]
            | ["auth", "list"]
            | ["logging", "read", ..],
        ) => true,
        ("gcloud", [_, .., verb]) if lists(verb) => true,
        ("gcloud", [_, .., verb, _]) => ["describe", "list"].contains(verb),
        ("az", [_, .., verb]) => lists(verb) || verb.starts_with("list-"),
        ("gsutil", ["ls" | "du" | "version", ..]) => true,
        (
            "helm",
            ["list" | "ls" | "status" | "history" | "env" | "verify", ..] | ["search", "repo", ..],
        ) => true,
        ("helm", ["repo" | "dependency" | "dep" | "plugin", "list" | "ls", ..]) => true,
        ("gh", ["auth", "status"]) => !args.iter().any(|arg| arg == "-t" || arg == "--show-token"),
        ("gh", ["api", place, ..]) => {
            is_of_this_project(place) && !args.iter().skip(1).any(|arg| sends_fields(arg))
        }
        _ => false,
    }
}

/// Returns whether an address of the forge is one of the project the command is in.
fn is_of_this_project(place: &str) -> bool {
    place
        .trim_start_matches('/')
        .starts_with("repos/{owner}/{repo}")
        && !place.contains("..")
}

/// Returns whether an option makes a question of the forge a change.
fn sends_fields(arg: &str) -> bool {
    let long = [
        "--method",
        "--field",
        "--raw-field",
        "--input",
        "--header",
        "--preview",
    ];
    let is_long = long.iter().any(|option| arg.starts_with(option));
    is_long
        || ["-X", "-f", "-F", "-H", "-p"]
            .iter()
            .any(|option| arg.starts_with(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_asks(line: &str) -> bool {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        words
            .split_first()
            .is_some_and(|(name, args)| asks(name, args))
    }

    #[test]
    fn questions_are_told_from_changes_and_from_secrets() {
        for line in [
            "aws sts get-caller-identity",
            "aws s3 ls s3://b/x",
            "aws ec2 describe-instances --output text",
            "gcloud compute instances list --format=json",
            "gcloud projects describe x",
            "gcloud config get-value project",
            "az vm list -o table",
            "helm status web -n dev",
            "gh auth status",
            "gh api repos/{owner}/{repo}/pulls --jq .[0]",
        ] {
            assert!(only_asks(line), "{line}");
        }
        for line in [
            "aws ec2 describe-instances --endpoint-url http://x",
            "aws secretsmanager list-secrets",
            "aws iam list-access-keys",
            "aws s3 rm s3://b",
            "aws ec2 terminate-instances",
            "gcloud secrets list",
            "gcloud auth print-access-token",
            "gcloud compute instances delete x",
            "az keyvault secret list",
            "az storage account keys list",
            "az vm delete -n x",
            "helm get values web",
            "helm uninstall web",
            "gh auth status -t",
            "gh api user",
            "gh api repos/{owner}/{repo} -X DELETE",
            "gh api repos/{owner}/{repo}/../../x",
        ] {
            assert!(!only_asks(line), "{line}");
        }
    }
}
