// NOP: nothing. Twin: src/twin/nop.rs.
Outcome op_nop() { return done(0); }
