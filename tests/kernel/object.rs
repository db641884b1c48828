//! The built object and the lists that describe it say the same.

use std::collections::BTreeSet;

use aya::maps::{Map, MapData};
use gate_common::layout::{Kind, TABLES};
use gate_common::name::PROGRAMS;
use gate_userspace::kernel::object;

use crate::lab::root;

#[test]
fn names_and_shapes_of_maps_are_those_of_the_list() {
    if !root() {
        return;
    }
    let loaded = aya::Ebpf::load(object::bytes()).unwrap();
    let maps: BTreeSet<&str> = loaded.maps().map(|(name, _)| name).collect();
    let listed: BTreeSet<&str> = TABLES.iter().map(|table| table.name).collect();
    assert_eq!(maps, listed);
    for table in &TABLES {
        let info = data(loaded.map(table.name).unwrap()).info().unwrap();
        assert_eq!(
            info.map_type().unwrap() as u32,
            table.kind as u32,
            "{}",
            table.name
        );
        assert_eq!(info.key_size() as usize, table.key, "{}", table.name);
        assert_eq!(info.value_size() as usize, table.value, "{}", table.name);
        assert_eq!(info.max_entries() as usize, table.entries, "{}", table.name);
        assert_eq!(info.map_flags(), table.flags, "{}", table.name);
        assert!(
            table.kind != Kind::Ring || table.value == 0,
            "{}",
            table.name
        );
    }
}

#[test]
fn names_of_programs_are_those_of_the_list() {
    if !root() {
        return;
    }
    let loaded = aya::Ebpf::load(object::bytes()).unwrap();
    let programs: BTreeSet<&str> = loaded.programs().map(|(name, _)| name).collect();
    assert_eq!(programs, PROGRAMS.into_iter().collect());
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "any other kind of map fails the test"
)]
fn data(map: &Map) -> &MapData {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LpmTrie(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::RingBuf(data) => data,
        other => panic!("{other:?}"),
    }
}
