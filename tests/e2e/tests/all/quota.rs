//! The quota is exact.

use glyph_e2e::measures::Exact;

/// CASE 57. (`broken` names every customer for whom it was one more, or one less.)
#[tokio::test]
async fn many_keys_clients_and_sidecars_at_once_admit_exactly_the_limit() {
    let measure = Exact {
        customers: 3,
        keys: 3,
        clients: 20,
        quota: 50,
        sidecars: 2,
    };
    let report = measure.take().await.unwrap();
    assert!(report.broken.is_empty(), "{}", report.text());
    assert_eq!(report.json["limit"], 150);
}
