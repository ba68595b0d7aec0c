//! Addresses as Cedar expressions, made once each: Cedar runs its parser for the name of the constructor every time one is made, which costs
//! more than the rest of a decision.

use cedar_policy::RestrictedExpression;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Addresses that are kept; past it all are forgotten and the next ones made anew.
const ADDRESSES_MAX: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<HashMap<IpAddr, RestrictedExpression>>);

impl Addresses {
    pub(crate) fn expression(&self, address: IpAddr) -> RestrictedExpression {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(expression) = kept.get(&address) {
            return expression.clone();
        }
        if kept.len() >= ADDRESSES_MAX {
            kept.clear();
        }
        let expression = RestrictedExpression::new_ip(address.to_string());
        kept.insert(address, expression.clone());
        expression
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn any_number_of_addresses_is_bounded_and_right() {
        let addresses = Addresses::default();
        for number in 0..u32::try_from(2 * ADDRESSES_MAX).unwrap() {
            let address = IpAddr::V4(Ipv4Addr::from(number));
            let fresh = RestrictedExpression::new_ip(address.to_string());
            for _ in 0..2 {
                assert_eq!(
                    format!("{:?}", addresses.expression(address)),
                    format!("{fresh:?}")
                );
            }
        }
        assert!(addresses.0.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
