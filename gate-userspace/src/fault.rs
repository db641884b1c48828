//! What stops a call: `Denied` (the gate said no) and `Fault` (something broke).
