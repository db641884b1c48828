//! Writes small BPF programs as instructions: the yardsticks and the generator of these figures.
//!
//! By hand, so that a yardstick costs what it says and nothing that a compiler added, and so that
//! none of it can ever get into the object that gate ships. Does not load them.

/// `struct bpf_insn`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// A program under construction. Jumps go to labels that are bound later.
#[derive(Default)]
pub(crate) struct Program {
    code: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
    labels: Vec<Option<usize>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Label(usize);

/// Width of a load or a store.
#[derive(Clone, Copy)]
pub(crate) enum Width {
    Byte = 0x10,
    Half = 0x08,
    Word = 0x00,
}

/// Arithmetic, with its operation bits.
#[derive(Clone, Copy)]
pub(crate) enum Do {
    Add = 0x00,
    Mul = 0x20,
    And = 0x50,
    Left = 0x60,
    Right = 0x70,
    Xor = 0xa0,
    Set = 0xb0,
}

/// Comparison, unsigned.
#[derive(Clone, Copy)]
pub(crate) enum When {
    Equal = 0x10,
    Above = 0x20,
    Differs = 0x50,
}

/// The kernel's functions that these programs call.
#[derive(Clone, Copy)]
pub(crate) enum Helper {
    Lookup = 1,
    Random = 7,
    TailCall = 12,
    Redirect = 23,
}

/// The frame pointer.
pub(crate) const STACK: u8 = 10;

impl Program {
    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub(crate) fn bind(&mut self, label: Label) -> &mut Self {
        self.labels[label.0] = Some(self.code.len());
        self
    }

    fn push(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> &mut Self {
        self.code.push(Instruction {
            code,
            registers: from << 4 | to,
            offset,
            immediate,
        });
        self
    }

    pub(crate) fn load(&mut self, width: Width, to: u8, from: u8, offset: i16) -> &mut Self {
        self.push(0x61 | width as u8, to, from, offset, 0)
    }

    pub(crate) fn store(&mut self, width: Width, to: u8, offset: i16, from: u8) -> &mut Self {
        self.push(0x63 | width as u8, to, from, offset, 0)
    }

    /// 64 bits wide, with a register.
    pub(crate) fn with(&mut self, operation: Do, to: u8, from: u8) -> &mut Self {
        self.push(0x0f | operation as u8, to, from, 0, 0)
    }

    /// 64 bits wide, with a number.
    pub(crate) fn by(&mut self, operation: Do, to: u8, number: i32) -> &mut Self {
        self.push(0x07 | operation as u8, to, 0, 0, number)
    }

    pub(crate) fn jump_if(&mut self, when: When, left: u8, right: i32, label: Label) -> &mut Self {
        self.jumps.push((self.code.len(), label));
        self.push(0x05 | when as u8, left, 0, 0, right)
    }

    pub(crate) fn jump_if_register(
        &mut self,
        when: When,
        left: u8,
        right: u8,
        label: Label,
    ) -> &mut Self {
        self.jumps.push((self.code.len(), label));
        self.push(0x0d | when as u8, left, right, 0, 0)
    }

    /// The low 32 bits in wire order.
    pub(crate) fn big_endian(&mut self, register: u8) -> &mut Self {
        self.push(0xdc, register, 0, 0, 32)
    }

    /// A map by its descriptor.
    pub(crate) fn map(&mut self, to: u8, descriptor: i32) -> &mut Self {
        self.push(0x18, to, 1, 0, descriptor).push(0, 0, 0, 0, 0)
    }

    pub(crate) fn call(&mut self, helper: Helper) -> &mut Self {
        self.push(0x85, 0, 0, 0, helper as i32)
    }

    /// Ends with a verdict.
    pub(crate) fn answer(&mut self, verdict: i32) -> &mut Self {
        self.by(Do::Set, 0, verdict).end()
    }

    /// Ends with what register 0 holds.
    pub(crate) fn end(&mut self) -> &mut Self {
        self.push(0x95, 0, 0, 0, 0)
    }

    /// Every jump with its distance.
    pub(crate) fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let target = self.labels[label.0].expect("every label is bound before `finish`");
            let distance = i16::try_from(target - at - 1).expect("these programs are short");
            self.code[at].offset = distance;
        }
        self.code
    }
}
