//! The commands that README and docs/ tell a reader to type, typed.
//!
//! Page by page, in order, in one shell's worth of variables. A block that cannot be run here is
//! marked ```` ```console ````. Pages that are written from code have no commands of their own.

mod page;
mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use page::{Block, HOST, Kind, blocks, missing};
use stage::Stage;

/// Pages with commands, and the fewest that each has: less would mean that they are not found.
const PAGES: [(&str, usize); 6] = [
    ("README.md", 9),
    ("docs/admin-api.md", 6),
    ("docs/concepts.md", 12),
    ("docs/fleet.md", 5),
    ("docs/operations.md", 50),
    ("docs/recipes.md", 60),
];

/// Pages whose commands want an engine for containers; tests of their own run what they name.
const ELSEWHERE: [&str; 1] = ["docs/container.md"];

#[tokio::test]
async fn commands_of_the_readme_work() {
    follow("README.md").await;
}

#[tokio::test]
async fn commands_of_the_admin_api_work() {
    follow("docs/admin-api.md").await;
}

#[tokio::test]
async fn commands_of_the_concepts_work() {
    follow("docs/concepts.md").await;
}

#[tokio::test]
async fn commands_of_the_fleet_work() {
    follow("docs/fleet.md").await;
}

#[tokio::test]
async fn commands_of_the_recipes_work() {
    follow("docs/recipes.md").await;
}

#[tokio::test]
async fn commands_of_the_operations_work() {
    follow("docs/operations.md").await;
}

/// What the tests above would say of a mistake.
#[tokio::test]
async fn wrong_flag_ends_a_block_with_its_line() {
    let Some(mut stage) = Stage::set(false).await else {
        return;
    };
    let page = "# a\n\n```sh\ntrue\ngatectl status --nonsense\ntrue\n```\n";
    let script = blocks(page)[0].script();
    let (status, said) = stage.run(HOST, &script).await.unwrap();
    assert_eq!(status, Some(2), "{said}");
    assert!(
        said.contains("line 5, exit 2: gatectl status --nonsense"),
        "{said}"
    );
}

/// A page with commands that nobody runs is a page that can be wrong.
#[test]
fn every_page_with_commands_is_followed() {
    let has_commands = |path: &String| blocks(&read(path)).iter().any(Block::is_run);
    let is_here = |path: &String| !ELSEWHERE.contains(&path.as_str());
    let found = pages().into_iter().filter(is_here).filter(has_commands);
    let found: BTreeSet<String> = found.collect();
    let followed: BTreeSet<String> = PAGES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(
        found, followed,
        "add it to PAGES and a test, or write ```console"
    );
    for path in pages() {
        for block in blocks(&read(&path)) {
            if let Kind::Other(language) = block.kind {
                let known = ["console", "text", "toml", "python", "json", "yaml", "sql"];
                let line = block.line - 1;
                assert!(
                    known.contains(&language.as_str()),
                    "{path}:{line}: ```{language}"
                );
            }
        }
    }
}

/// Of pages and sections.
#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for path in pages() {
        let text = read(&path);
        let folder = Path::new(&path).parent().unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, section) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                PathBuf::from(&path)
            } else {
                folder.join(file)
            };
            assert!(root().join(&file).exists(), "{path}: {target}");
            if !section.is_empty() {
                let there = fs::read_to_string(root().join(&file)).unwrap();
                assert!(sections(&there).contains(section), "{path}: {target}");
            }
            links += 1;
        }
    }
    assert!(links > 40, "{links}");
}

/// As a forge names them.
fn sections(page: &str) -> BTreeSet<String> {
    let heads = page.lines().filter(|line| line.starts_with('#'));
    let name = |head: &str| {
        let words = head.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    heads.map(name).collect()
}

/// Types what the page says and compares what it shows.
#[expect(
    clippy::print_stdout,
    reason = "a test that fails shows all that was typed before"
)]
async fn follow(path: &str) {
    let text = read(path);
    let blocks = blocks(&text);
    let wants_postgres = text.contains("@db.example/");
    let Some(mut stage) = Stage::set(wants_postgres).await else {
        return;
    };
    let is_started =
        text.contains("enable --now gated") || blocks.iter().any(|block| block.kind == Kind::Serve);
    if !is_started {
        stage.serve(HOST, &usual()).await.unwrap();
    }
    let (mut commands, mut printed) = (0, String::new());
    for block in &blocks {
        let at = format!("{path}:{}", block.line);
        match &block.kind {
            Kind::File(file) => stage.write(&block.place, file, &block.text).unwrap(),
            Kind::Serve => {
                let served = stage.serve(&block.place, &block.script()).await;
                served.unwrap_or_else(|why| panic!("{at}: {why:#}"));
            }
            Kind::Commands => {
                let done = stage.run(&block.place, &block.script()).await;
                let (status, said) = done.unwrap_or_else(|why| panic!("{at}: {why:#}"));
                assert_eq!(
                    status,
                    Some(0),
                    "{at} at {}:\n{}\n{said}",
                    block.place,
                    block.text
                );
                println!("{at}\n{said}");
                printed = said;
            }
            Kind::Seen => {
                let line = missing(&block.text, &printed);
                assert_eq!(line, None, "{at}: it printed\n{printed}");
            }
            Kind::Other(_) => {}
        }
        if block.is_run() {
            commands += block.commands();
        }
    }
    let fewest = PAGES.iter().find(|(page, _)| *page == path).unwrap().1;
    assert!(commands >= fewest, "{path}: {commands} commands were run");
}

/// How a gate is started for a page that does not start one: as README does.
fn usual() -> String {
    let blocks = blocks(&read("README.md"));
    let serves = blocks.iter().find(|block| block.kind == Kind::Serve);
    serves.expect("README starts a gate").script()
}

/// README and everything under docs/, from the root.
fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned()];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                pages.push(path.display().to_string());
            }
        }
    }
    pages
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
