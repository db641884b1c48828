//! The master keys of one host, and which of them seals.
//!
//! Reads no file and knows no store: both say here what they found.

use std::{str::FromStr, sync::Arc};

use arc_swap::ArcSwap;

use super::{
    super::UpstreamKey, KeyId, MasterKey, MasterKeyError, Sealed, UnsealError, V1, V2, unbase64,
};

/// The master keys of a file or variable, the oldest first.
#[derive(Debug)]
pub struct MasterKeys(MasterKey, Vec<MasterKey>);

/// The master keys that this host holds: one seals, all of them open.
///
/// Which one seals can change while others read, so that keys are re-sealed under a running gate.
#[derive(Debug)]
pub struct Keyring(ArcSwap<Held>);

#[derive(Clone, Debug)]
struct Held {
    /// The oldest first, as in the key file. Never empty.
    keys: Vec<Arc<MasterKey>>,
    /// The one that seals. Another host may have chosen one that is not here.
    chosen: KeyId,
}

impl From<MasterKey> for MasterKeys {
    fn from(key: MasterKey) -> Self {
        Self(key, Vec::new())
    }
}

/// One or more, apart by white space, the oldest first.
impl FromStr for MasterKeys {
    type Err = MasterKeyError;

    fn from_str(text: &str) -> Result<Self, MasterKeyError> {
        let mut keys = text.split_ascii_whitespace().map(str::parse);
        let first = keys.next().ok_or(MasterKeyError::NotBase64)??;
        Ok(Self(first, keys.collect::<Result<_, _>>()?))
    }
}

impl IntoIterator for MasterKeys {
    type Item = MasterKey;
    type IntoIter = std::iter::Chain<std::iter::Once<MasterKey>, std::vec::IntoIter<MasterKey>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.0).chain(self.1)
    }
}

impl Keyring {
    pub fn new(current: MasterKey, older: Vec<MasterKey>) -> Self {
        let chosen = current.id;
        let keys = older.into_iter().chain([current]).map(Arc::new).collect();
        Self(ArcSwap::from_pointee(Held { keys, chosen }))
    }

    /// Of a key file: until the store says otherwise its first key seals.
    pub fn of(keys: MasterKeys) -> Self {
        let MasterKeys(first, others) = keys;
        let chosen = first.id;
        let keys = std::iter::once(first).chain(others).map(Arc::new);
        let keys = keys.collect();
        Self(ArcSwap::from_pointee(Held { keys, chosen }))
    }

    /// The one that seals.
    pub fn current(&self) -> KeyId {
        self.0.load().chosen
    }

    pub fn known(&self) -> Vec<KeyId> {
        self.0.load().keys.iter().map(|key| key.id).collect()
    }

    /// One that lies ready: newer than the one that seals.
    pub fn standby(&self) -> Option<KeyId> {
        let held = self.0.load();
        let newest = held.keys.last().map(|key| key.id)?;
        (newest != held.chosen).then_some(newest)
    }

    /// Seals with this one from now on. Whether it is here.
    pub fn choose(&self, id: KeyId) -> bool {
        self.change(|held| held.chosen = id);
        self.known().contains(&id)
    }

    /// Holds these too, as the newest.
    pub fn learn(&self, keys: impl IntoIterator<Item = MasterKey>) {
        let keys: Vec<Arc<MasterKey>> = keys.into_iter().map(Arc::new).collect();
        self.change(|held| {
            for key in &keys {
                if !held.keys.iter().any(|known| known.id == key.id) {
                    held.keys.push(Arc::clone(key));
                }
            }
        });
    }

    fn change(&self, change: impl Fn(&mut Held)) {
        self.0.rcu(|held| {
            let mut held = Held::clone(held);
            change(&mut held);
            held
        });
    }

    /// Seals a key for one owner; under any other owner's name it will not open.
    ///
    /// # Errors
    /// When the system has no random numbers to give.
    pub fn seal(&self, owner: &str, key: &UpstreamKey) -> Result<Sealed, MasterKeyError> {
        self.sealing()?.seal(owner, &key.0)
    }

    /// Seals a key in the published form, for other systems that hold the same master key. It is
    /// bound to no owner.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_v1(&self, key: &UpstreamKey) -> Result<Sealed, MasterKeyError> {
        self.sealing()?.seal_v1(&key.0)
    }

    fn sealing(&self) -> Result<Arc<MasterKey>, MasterKeyError> {
        let held = self.0.load();
        let chosen = held.keys.iter().find(|key| key.id == held.chosen);
        chosen.cloned().ok_or(MasterKeyError::NotHere(held.chosen))
    }

    /// # Errors
    /// Says why it stays shut, never what is inside.
    pub fn open(&self, owner: &str, sealed: &Sealed) -> Result<UpstreamKey, UnsealError> {
        if let Some(rest) = sealed.0.strip_prefix(V2) {
            let (id, blob) = rest.split_once(':').ok_or(UnsealError::Malformed)?;
            let id: KeyId = id.parse()?;
            let held = self.0.load();
            let key = held.keys.iter().find(|key| key.id == id);
            let key = key.ok_or(UnsealError::UnknownKey)?;
            return key.open(owner, &unbase64(blob)?);
        }
        if let Some(blob) = sealed.0.strip_prefix(V1) {
            let blob = unbase64(blob)?;
            let held = self.0.load();
            let mut opened = held.keys.iter().rev().map(|key| key.open_v1(&blob));
            let opened = opened.find(Result::is_ok);
            return opened.unwrap_or(Err(UnsealError::Refused));
        }
        UpstreamKey::new(&sealed.0).ok_or(UnsealError::NotText)
    }

    /// Whether a row is sealed with the master key in use, and needs no other to open.
    pub fn is_current(&self, sealed: &Sealed) -> bool {
        let id = sealed
            .0
            .strip_prefix(V2)
            .and_then(|rest| rest.split_once(':'));
        id.is_some_and(|(id, _)| id.parse() == Ok(self.current()))
    }
}
