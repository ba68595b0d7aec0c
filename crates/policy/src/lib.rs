//! Policy decisions: the only maker of a permit.
