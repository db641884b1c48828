//! The kernel object this build carries, and how it is loaded over pinned maps.
//!
//! Does not attach. A pinned map is reused only when its kernel-side shape equals
//! `gate_common::layout`: aya takes whatever lies at the path.

use std::path::Path;

use aya::maps::{MapData, MapInfo};
use aya::programs::{ProgramError, SchedClassifier, SkLookup, Xdp};
use aya::{Ebpf, EbpfLoader};
use gate_common::layout::{Kind, TABLES, Table};
use gate_common::name;

use super::fault::KernelError;

/// ELF loading casts the bytes to structures with 8-byte fields.
#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/gate")));

/// The object itself, for tests that read its symbols.
pub fn bytes() -> &'static [u8] {
    &OBJECT.0
}

/// Creates the maps below `maps`, or takes those pinned there, and loads the three programs.
pub fn load(maps: &Path) -> Result<Ebpf, KernelError> {
    if bytes().is_empty() {
        return Err(KernelError::Stub);
    }
    let mut loader = EbpfLoader::new();
    for table in &TABLES {
        let path = maps.join(table.name);
        if path.exists() {
            compare(table, &path)?;
        }
        loader.map_pin_path(table.name, path);
    }
    let mut object = loader
        .load(bytes())
        .map_err(|cause| KernelError::Load(Box::new(cause)))?;
    load_program::<Xdp>(&mut object, name::XDP, Xdp::load)?;
    load_program::<SchedClassifier>(&mut object, name::TC, SchedClassifier::load)?;
    load_program::<SkLookup>(&mut object, name::LOOKUP, SkLookup::load)?;
    Ok(object)
}

fn load_program<'a, P>(
    object: &'a mut Ebpf,
    program: &'static str,
    load: impl FnOnce(&mut P) -> Result<(), ProgramError>,
) -> Result<(), KernelError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
    P: 'a,
{
    let fault = |cause| KernelError::Program {
        program,
        cause: Box::new(cause),
    };
    load(self::program::<P>(object, program)?).map_err(fault)
}

/// A program of the object, as its kind.
pub(super) fn program<'a, P>(
    object: &'a mut Ebpf,
    program: &'static str,
) -> Result<&'a mut P, KernelError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    object
        .program_mut(program)
        .ok_or(KernelError::Absent(program))?
        .try_into()
        .map_err(|cause| KernelError::Program {
            program,
            cause: Box::new(cause),
        })
}

fn compare(table: &Table, path: &Path) -> Result<(), KernelError> {
    let fault = |cause| KernelError::Map {
        map: table.name,
        cause: Box::new(cause),
    };
    let info: MapInfo = MapData::from_pin(path)
        .map_err(fault)?
        .info()
        .map_err(fault)?;
    let same = info.map_type().map_err(fault)? as u32 == table.kind as u32
        && info.key_size() as usize == table.key
        && info.value_size() as usize == table.value
        && (info.max_entries() as usize == table.entries || table.kind == Kind::Ring)
        && info.map_flags() == table.flags;
    if same {
        Ok(())
    } else {
        Err(KernelError::ForeignMap {
            map: table.name.to_owned(),
        })
    }
}
