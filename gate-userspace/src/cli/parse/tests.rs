//! The command line as documented: what is understood, what is refused, what help says.

use clap::CommandFactory as _;

use super::*;

fn parsed(argv: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["gatectl"].iter().chain(argv))
}

fn every_command(command: &clap::Command, see: &mut dyn FnMut(&clap::Command)) {
    for one in command
        .get_subcommands()
        .filter(|one| one.get_name() != "help")
    {
        see(one);
        every_command(one, see);
    }
}

#[test]
fn the_parser_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn documented_lines_are_understood() {
    let lines = [
        "client add x --source 10.0.0.5@veth7 --source lo --source-anywhere 192.0.2.0/24 --host b --port 7070 --upstream u --upstream-key-stdin --scope POST:/v1/messages --covers-rollouts --ttl 1h --rps 3 --concurrency 2",
        "client add x --service --upstream-key-env KEY --token-stdin --output token",
        "client list",
        "client show x --output json",
        "client renew x --ttl 24h",
        "client rotate x --grace 10m",
        "client disable x",
        "client enable x",
        "client source add x 10.0.0.5@veth7 --host b",
        "client source remove x --source-anywhere 192.0.2.0/24",
        "client revoke x --wait --yes",
        "client revoke x --wait 5s",
        "rollout open r --client c --source 10.0.0.5 --ttl 90s --tokens model,state --secrets-stdin",
        "rollout open --from -",
        "rollout open --from f --skip 1000 --skip 2000 --idempotency-key k",
        "rollout list --client c",
        "rollout show r",
        "rollout renew r --ttl 1h",
        "rollout rotate r --grace 0s",
        "rollout drain r",
        "rollout close a b c --wait",
        "rollout close --from - --open-only",
        "rollout close --client c --all --wait 1s",
        "env r --format docker --base-url http://g:1 --with openai=/openai --token-stdin",
        "key set x",
        "key verify",
        "key verify x",
        "admin token add t --role provision --output token",
        "admin token list --url https://g:1 --ca f.pem",
        "admin token revoke t --yes",
        "audit --lines",
        "top",
        "interface set eth0 --hook clsact",
        "status --socket /tmp/s",
        "verify",
        "doctor",
        "hosts",
        "events --follow",
        "audit --since 1h --client c",
        "interface list",
        "interface set eth0 --hook tcx",
        "panic",
        "open",
        "unload --yes",
        "explain --from 10.0.0.5%veth7 --port 1 --token-stdin --method GET --path /v1/models",
        "explain --frame ffff",
        "explain --pcap f.pcap --url http://127.0.0.1:1",
        "completions zsh",
        "man",
    ];
    for line in lines {
        let argv: Vec<&str> = line.split(' ').collect();
        if let Err(error) = parsed(&argv) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn lines_that_cannot_mean_anything_are_refused() {
    let lines = [
        "client add",
        "client add a/b",
        "client add x --source 10.0.0.5/8",
        "client add x --source fe80::1",
        "client add x --source-anywhere lo",
        "client add x --upstream-key sk-secret",
        "client add x --token gate_secret",
        "client add x --upstream-key-stdin --token-stdin",
        "client add x --covers-rollouts --service",
        "client add x --ttl 0s",
        "client add x --ttl 3600",
        "client add x --scope /v1",
        "client add x --idempotency-key ü",
        "client renew x",
        "client source add x",
        "rollout open r",
        "rollout open",
        "rollout open r --from f",
        "rollout open --from f --ttl 1h",
        "rollout open r --client c --tokens root",
        "rollout close",
        "rollout close --client c",
        "rollout close r --client c --all",
        "rollout close --all",
        "env ..",
        "env r --with openai",
        "env r --token t",
        "explain",
        "explain --from 10.0.0.1 --frame ff",
        "explain --frame ff --path /",
        "interface set eth0 --hook magic",
        "status --socket a --url http://127.0.0.1:1",
        "status --output yaml",
        "events --follow --for 1s",
        "frobnicate",
    ];
    for line in lines {
        let argv: Vec<&str> = line.split(' ').collect();
        assert!(parsed(&argv).is_err(), "{line}");
    }
}

#[test]
fn every_command_says_what_it_does_and_shows_an_example() {
    every_command(&Cli::command(), &mut |command| {
        let name = command.get_name();
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(about.len() < 80, "{name}: {about}");
        assert!(about.starts_with(char::is_uppercase), "{name}: {about}");
        assert!(!about.ends_with('.'), "{name}: {about}");
        let more = command
            .get_after_long_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let has_children = command.get_subcommands().next().is_some();
        assert!(
            has_children || more.contains("Example"),
            "{name} has no example"
        );
        assert!(
            has_children || more.contains("gatectl "),
            "{name} has no example"
        );
    });
}

/// Acceptance 118: what could be given as an argument could be read in `ps`.
#[test]
fn no_flag_takes_a_secret() {
    every_command(&Cli::command(), &mut |command| {
        for arg in command
            .get_arguments()
            .filter(|arg| arg.get_action().takes_values())
        {
            let id = arg.get_id().as_str();
            let is_secret = ["token", "key", "secret", "password"]
                .iter()
                .any(|word| id.contains(word));
            let names_only = ["tokens", "upstream_key_env", "idempotency_key"].contains(&id);
            assert!(!is_secret || names_only, "{}: {id}", command.get_name());
        }
    });
}

#[test]
fn only_commands_that_make_one_token_print_it_bare() {
    let rows = [
        ("client add x", true),
        ("client rotate x", true),
        ("rollout open r --client c", true),
        ("rollout open r --client c --tokens model", true),
        ("rollout open r --client c --tokens model,state", false),
        ("rollout open --from f", false),
        ("client list", false),
        ("status", false),
    ];
    for (line, want) in rows {
        let argv: Vec<&str> = line.split(' ').collect();
        assert_eq!(
            parsed(&argv).unwrap().command.mints_one_token(),
            want,
            "{line}"
        );
    }
}
