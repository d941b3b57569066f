//! What callers send to be taken for somebody else, or to slip by. CASES 44, 45, 47, 48, 49.

use std::path::PathBuf;

use glyph_harness::Result;
use http::header::HeaderValue;
use serde_json::{Value, json};

use crate::stage::{Stage, answer, code, variant};

/// The example without Envoy's own guards, as somebody may write it: the sidecar's have to do.
fn unguarded(raw_headers: bool) -> PathBuf {
    variant(&format!("unguarded-{raw_headers}"), |text| {
        let (before, rest) = text
            .split_once("                early_header_mutation_extensions:\n")
            .unwrap();
        let (_, after) = rest.split_once("                http_filters:\n").unwrap();
        let underscores = "headers_with_underscores_action: ";
        assert!(
            before.contains(&format!("{underscores}REJECT_REQUEST"))
                && after.contains("encode_raw_headers: true")
        );
        format!("{before}                http_filters:\n{after}")
            .replace(
                &format!("{underscores}REJECT_REQUEST"),
                &format!("{underscores}ALLOW"),
            )
            .replace(
                "encode_raw_headers: true",
                &format!("encode_raw_headers: {raw_headers}"),
            )
    })
}

#[tokio::test]
async fn two_credentials_are_refused_however_they_arrive() -> Result<()> {
    for stage in [
        Stage::set().await?,
        Stage::set_behind(unguarded(false), |settings| settings).await?,
    ] {
        let key = stage.world.key("laptop", "ada", json!({})).await;
        stage.until(&key, 200).await;
        let bearer = format!("Bearer {key}");
        let jwt = "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln";
        for headers in [
            vec![
                ("authorization", bearer.as_str()),
                ("authorization", &bearer),
            ],
            vec![("authorization", &format!("{bearer},{bearer}"))],
            vec![("x-api-key", &key), ("x-api-key", &key)],
            vec![("authorization", &bearer), ("x-api-key", &key)],
            vec![("authorization", jwt), ("x-api-key", &key)],
            vec![("authorization", ""), ("x-api-key", &key)],
            vec![("authorization", "")],
            vec![("x-api-key", "")],
            vec![("authorization", "Bearer ")],
            vec![("authorization", jwt)],
        ] {
            let request = headers
                .iter()
                .fold(stage.get("/"), |request, (name, value)| {
                    request.header(*name, *value)
                });
            let refused = answer(request).await;
            assert_eq!(
                (refused.status, code(&refused).as_str()),
                (401, "invalid_credential"),
                "{headers:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_header_of_ours_that_the_caller_sends_reaches_upstream() -> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let lie = "other/eve";
    let request = stage.get("/").header("x-api-key", &key);
    let request = request
        .header("x-glyph-customer", lie)
        .header("X-Glyph-Customer", lie);
    let request = request
        .header("x-glyph-subject", lie)
        .header("x-glyph-anything", lie);
    let passed = answer(request).await;
    assert_eq!(passed.status, 200);
    assert!(!passed.text().contains(lie), "{}", passed.text());
    let underscored = answer(
        stage
            .get("/")
            .header("x-api-key", &key)
            .header("x_glyph_customer", lie),
    )
    .await;
    assert_eq!(
        underscored.status, 400,
        "Envoy refuses underscores in names"
    );
    Ok(())
}

#[tokio::test]
async fn without_envoys_guards_the_sidecar_removes_them_itself() -> Result<()> {
    for raw_headers in [true, false] {
        let stage = Stage::set_behind(unguarded(raw_headers), |settings| settings).await?;
        let key = stage.world.key("laptop", "ada", json!({})).await;
        stage.until(&key, 200).await;
        let lie = "other/eve";
        let request = stage.get("/").header("x-api-key", &key);
        let names = [
            "x-glyph-customer",
            "x-glyph-customer",
            "x_glyph_customer",
            "X_Glyph_Tier",
            "x-glyph-subject",
            "x-glyph_any",
        ];
        let passed = answer(
            names
                .iter()
                .fold(request, |request, name| request.header(*name, lie)),
        )
        .await;
        assert_eq!(passed.status, 200);
        assert!(!passed.text().contains(lie), "{}", passed.text());
        let seen: Value = passed.json()?;
        assert_eq!(
            seen["headers"]["x-glyph-customer"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    Ok(())
}

#[tokio::test]
async fn one_spelling_of_a_path_reaches_upstream_and_escaped_slashes_none() -> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    for sent in ["/a/../x", "/%2e%2e/x", "//x", "/./x", "/a/%2E%2E//x"] {
        let seen: Value = answer(stage.get(sent).header("x-api-key", &key))
            .await
            .json()?;
        assert_eq!(seen["path"], "/x", "{sent}");
    }
    for sent in ["/a%2fx", "/a%5Cx"] {
        assert_eq!(
            answer(stage.get(sent).header("x-api-key", &key))
                .await
                .status,
            400,
            "{sent}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn header_values_that_are_not_utf_8_are_never_decided_on() -> Result<()> {
    for stage in [
        Stage::set().await?,
        Stage::set_behind(unguarded(false), |settings| settings).await?,
    ] {
        let key = stage.world.key("laptop", "ada", json!({})).await;
        stage.until(&key, 200).await;
        let with = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap();
        for bytes in [
            b"\xff\xfe".to_vec(),
            b"!!".to_vec(),
            [key.as_bytes(), b"\xff"].concat(),
        ] {
            let refused = answer(stage.get("/").header("x-api-key", with(&bytes))).await;
            assert_eq!(
                (refused.status, code(&refused).as_str()),
                (401, "invalid_credential"),
                "{bytes:?}"
            );
            let bearer = [b"Bearer ", bytes.as_slice()].concat();
            let refused = answer(stage.get("/").header("authorization", with(&bearer))).await;
            assert_eq!(
                (refused.status, code(&refused).as_str()),
                (401, "invalid_credential"),
                "{bytes:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_only_resembles_a_key_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let random = key.strip_prefix("glyph_sk_live_").unwrap();
    for bad in [
        key[..key.len() - 1].to_owned(),
        format!("{key}0"),
        format!("{key}\u{a0}"),
        format!("{key},"),
        format!("glyph_sk_dev_{random}"),
        format!("GLYPH_SK_LIVE_{random}"),
        format!("glyph_sk_live_{}", random.replace('a', "\u{430}")),
        format!("glyph_sk_live_{}", random.to_uppercase()),
        "a".repeat(50_000),
    ] {
        let value = HeaderValue::from_bytes(bad.as_bytes()).unwrap();
        let refused = answer(stage.get("/").header("x-api-key", value)).await;
        assert_eq!(
            (refused.status, code(&refused).as_str()),
            (401, "invalid_credential"),
            "{} bytes",
            bad.len()
        );
    }
    let in_url = answer(stage.get(&format!("/v1/items?api_key={key}"))).await;
    assert_eq!(
        (in_url.status, code(&in_url).as_str()),
        (401, "missing_credential")
    );
    let huge = answer(stage.get("/").header("x-api-key", "a".repeat(1 << 20))).await;
    assert_eq!(huge.status, 431, "Envoy takes no headers of a megabyte");
    Ok(())
}
