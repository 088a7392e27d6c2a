//! What is recorded: durations and label values.

/// Durations from some microseconds to seconds, most of them near 2 ms.
pub fn durations(seed: u64) -> &'static [f64; 1024] {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut share = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let durations = std::array::from_fn(|_| 0.002 * ((share() + share() + share() - 1.5) * 4.0).exp());
    Box::leak(Box::new(durations))
}

/// Label values that are literals.
pub const LITERALS: [[&str; 2]; 4] = [["GET", "200"], ["POST", "200"], ["GET", "404"], ["DELETE", "500"]];

/// Label values that come from somewhere.
pub fn strings() -> &'static [[String; 2]; 4] {
    let routes = ["/api/v1/orders", "/api/v1/orders/{id}/items", "/health", "/api/v1/customers"];
    let strings = routes.map(|route| ["POST".to_owned(), route.to_owned()]);
    Box::leak(Box::new(strings))
}
