//! Every setting with what the types, and a start with nothing but defaults, say of it.
//!
//! Only for tests, which keep the documents that are written from it. Says nothing of its own.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{
    Deserialize, Deserializer,
    de::{Visitor, value::Error},
    forward_to_deserialize_any,
};
use serde_json::Value;

use super::{Flags, Shown, origin::is_reloaded, raw, settle};

/// One table of the file.
pub(crate) struct Section {
    /// As it stands in the file: `[gate]`, or `[[listen]]` where there may be several.
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) keys: Vec<Key>,
}

pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) kind: Kind,
    pub(crate) default: Default,
    pub(crate) flag: Option<String>,
    pub(crate) variable: Option<String>,
    pub(crate) is_reloaded: bool,
}

pub(crate) enum Kind {
    /// One of these.
    Words(Vec<String>),
    Plain(String),
}

/// Values are written as TOML.
pub(crate) enum Default {
    Value(String),
    /// Another on another machine: this says which.
    Depends(String),
    /// None; this is what one looks like.
    Absent {
        example: String,
    },
}

/// Gives the sections that exist only when they are written.
const ONE_OF_EACH: &str = "\
[[upstream]]
url = \"http://127.0.0.1:9000\"
[[route]]
[[guard]]
port = 9001
";

/// Keys that [`ONE_OF_EACH`] has to give.
const GIVEN: [(&str, &str); 2] = [("[[upstream]]", "url"), ("[[guard]]", "port")];

pub(crate) fn sections() -> Vec<Section> {
    let settled = defaults();
    let one = |name: &str| format!("[{name}]");
    let many = |name: &str| format!("[[{name}]]");
    let all = fields::<raw::RawFile>().iter().map(|name| match *name {
        "gate" => section::<raw::RawGate>(one(name), &settled),
        "listen" => section::<raw::RawListen>(many(name), &settled),
        "upstream" => section::<raw::RawUpstream>(many(name), &settled),
        "route" => section::<raw::RawRoute>(many(name), &settled),
        "guard" => section::<raw::RawGuard>(many(name), &settled),
        "kernel" => section::<raw::RawKernel>(one(name), &settled),
        "limits" => section::<raw::RawLimits>(one(name), &settled),
        "store" => section::<raw::RawStore>(one(name), &settled),
        "admin" => section::<raw::RawAdmin>(one(name), &settled),
        "metrics" => section::<raw::RawMetrics>(one(name), &settled),
        "apollo" => section::<raw::RawApollo>(one(name), &settled),
        "log" => section::<raw::RawLog>(one(name), &settled),
        other => panic!("section `{other}` has no type here"),
    });
    all.collect()
}

/// What `text` settles to, as far as it is shown.
pub(crate) fn shown(text: &str) -> Shown {
    let file = toml::from_str(text).expect("a file of this test");
    let settled = settle::settle(&Flags::default(), &|_| None, &file, &|_| Vec::new());
    settled.expect("a start").shown
}

/// The variables that a start reads.
pub(crate) fn variables() -> BTreeSet<String> {
    let asked = RefCell::new(BTreeSet::new());
    let environment = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    let file = toml::from_str(ONE_OF_EACH).expect("a file of this test");
    let settled = settle::settle(&Flags::default(), &environment, &file, &|_| Vec::new());
    assert!(settled.is_ok(), "{settled:?}");
    asked.into_inner()
}

/// The values of a start that is told nothing, by section and key.
fn defaults() -> BTreeMap<(String, String), String> {
    let shown = shown(ONE_OF_EACH);
    let entries = shown.entries().into_iter();
    let entries = entries.map(|(_, section, key, value)| {
        let place = (section.to_owned(), key.to_owned());
        (place, value.to_owned())
    });
    let given = |place: &(String, String)| GIVEN.contains(&(place.0.as_str(), place.1.as_str()));
    entries.filter(|(place, _)| !given(place)).collect()
}

fn section<T: JsonSchema + for<'de> Deserialize<'de>>(
    name: String,
    settled: &BTreeMap<(String, String), String>,
) -> Section {
    let inline = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = inline.into_generator().into_root_schema_for::<T>();
    let schema = schema.to_value();
    let about = text(&schema, "description").expect("a section says what it is");
    let keys = fields::<T>().iter().map(|key| {
        let place = (name.clone(), (*key).to_owned());
        describe(&place, &schema["properties"][*key], settled.get(&place))
    });
    let keys = keys.collect();
    Section { name, about, keys }
}

fn describe((section, name): &(String, String), schema: &Value, settled: Option<&String>) -> Key {
    let about = text(schema, "description");
    let about = about.unwrap_or_else(|| panic!("{section} {name} has no doc comment"));
    let words = schema["enum"].as_array().map(|words| {
        let words = words.iter().filter_map(Value::as_str);
        words.map(str::to_owned).collect()
    });
    let kind = words.map_or_else(|| Kind::Plain(plain(schema)), Kind::Words);
    // Of an optional field schemars itself says that it is null.
    let depends = schema["default"].as_str().map(str::to_owned);
    let default = match (depends, settled) {
        (Some(depends), _) => Default::Depends(depends),
        (None, Some(value)) => Default::Value(value.clone()),
        (None, None) => {
            let example = &schema["examples"][0];
            let example = example
                .as_str()
                .map_or_else(|| example.to_string(), str::to_owned);
            assert_ne!(
                example, "null",
                "{section} {name} has neither a default nor an example"
            );
            Default::Absent { example }
        }
    };
    Key {
        name: name.clone(),
        about,
        kind,
        default,
        flag: text(schema, "flag"),
        variable: text(schema, "env"),
        is_reloaded: is_reloaded(section, name),
    }
}

/// The kind that is said, else that of the type.
fn plain(schema: &Value) -> String {
    let said = text(schema, "format").filter(|format| !format.starts_with("uint"));
    said.unwrap_or_else(|| {
        let types = &schema["type"];
        match types.as_str().or_else(|| types[0].as_str()) {
            Some("boolean") => "true or false".to_owned(),
            Some("integer") => "number".to_owned(),
            Some("string") => "text".to_owned(),
            Some("array") => format!("list of {}", plain(&schema["items"])),
            Some(_) | None => panic!("no word for {schema}"),
        }
    })
}

fn text(schema: &Value, key: &str) -> Option<String> {
    schema[key].as_str().map(|text| text.replace('\n', " "))
}

/// The names of a struct's fields in the order in which they are declared.
fn fields<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // It takes the names and fails.
    let _no_value = T::deserialize(Names(&mut found));
    assert!(!found.is_empty(), "a struct with fields");
    found
}

struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(serde::de::Error::custom("only its names are asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
