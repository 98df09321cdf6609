-- {count} entries of {days} days, spread as traffic is: few of the 500 keys make most calls, a key has a user, a team and an
-- organization and calls 8 of 30 models of four providers; 30 lists of tags, every twentieth call names one of 2,000 end
-- users, one call in fifty fails. All numbers follow from the entry's, so every load is the same but for the time.
INSERT INTO names (name)
    SELECT encode(sha256(('key-' || n)::bytea), 'hex') FROM generate_series(0, 499) n
    UNION ALL SELECT 'team-' || n FROM generate_series(0, 39) n
    UNION ALL SELECT 'user-' || n FROM generate_series(0, 199) n
    UNION ALL SELECT 'organization-' || n FROM generate_series(0, 3) n
    UNION ALL SELECT 'customer-' || n FROM generate_series(0, 1999) n
    UNION ALL SELECT 'model-' || n FROM generate_series(0, 29) n
    UNION ALL SELECT 'provider-' || n FROM generate_series(0, 3) n
    UNION ALL SELECT 'deployment-' || n FROM generate_series(0, 29) n
    UNION ALL SELECT format('["app-%s", "stage-%s"]', n, n % 3) FROM generate_series(0, 29) n
    UNION ALL SELECT 'RateLimited'
    ON CONFLICT DO NOTHING;

CREATE TEMP TABLE numbers AS SELECT id, name FROM names;

CREATE TEMP TABLE callers AS
    SELECT n AS key, k.id AS caller, t.id AS team, u.id AS user_name, o.id AS organization
    FROM generate_series(0, 499) n
    JOIN numbers k ON k.name = encode(sha256(('key-' || n)::bytea), 'hex')
    JOIN numbers t ON t.name = 'team-' || n % 40
    JOIN numbers u ON u.name = 'user-' || n % 200
    JOIN numbers o ON o.name = 'organization-' || n % 4;

CREATE TEMP TABLE models AS
    SELECT n AS model, m.id AS name, p.id AS provider, d.id AS deployment
    FROM generate_series(0, 29) n
    JOIN numbers m ON m.name = 'model-' || n
    JOIN numbers p ON p.name = 'provider-' || n % 4
    JOIN numbers d ON d.name = 'deployment-' || n;

CREATE TEMP TABLE tags AS
    SELECT n AS tags, t.id AS name FROM generate_series(0, 29) n
    JOIN numbers t ON t.name = format('["app-%s", "stage-%s"]', n, n % 3);

CREATE TEMP TABLE customers AS
    SELECT n AS customer, c.id AS name FROM generate_series(0, 1999) n JOIN numbers c ON c.name = 'customer-' || n;

ANALYZE callers, models, tags, customers;

INSERT INTO entries (attempt, call, started, caller, model_group, deployment, provider, model, team, user_name, organization,
    customer, tags, error, status, ending, estimated, cache_in_input, first_content, duration, input, output, cost, bound,
    cache_read, trace, response)
SELECT (lpad(to_hex(ms), 12, '0') || '7000' || lpad(to_hex(i), 16, '8'))::uuid,
    (lpad(to_hex(ms), 12, '0') || '7001' || lpad(to_hex(i), 16, '8'))::uuid,
    0, k.caller, m.name, m.deployment, m.provider, m.name, k.team, k.user_name, k.organization, c.name, t.name,
    CASE WHEN i % 50 = 7 THEN (SELECT id FROM numbers WHERE name = 'RateLimited') END, CASE WHEN i % 50 = 7 THEN 429 END,
    CASE WHEN i % 50 = 7 THEN 1 ELSE 0 END, FALSE, TRUE, 400, 5000, 1180 + i % 1000, 312, 6000000 + i % 1000, NULL,
    CASE WHEN i % 3 = 0 THEN 1024 END, md5(i::text), 'chatcmpl-' || md5(i::text)
FROM (
    SELECT i, (extract(epoch FROM now()) * 1000)::bigint - {days}::bigint * 86400000 * ({count} - i) / {count} AS ms,
        floor(500 * power((hashint8extended(i, 1) & 1048575) / 1048576.0, 2)) AS key,
        hashint8extended(i, 2) & 1023 AS which, hashint8extended(i, 3) & 65535 AS other
    FROM generate_series(1::bigint, {count}) i
) s
JOIN callers k ON k.key = s.key
JOIN models m ON m.model = (s.key::bigint * 3 + which % 8) % 30
JOIN tags t ON t.tags = (s.key::bigint + which / 512) % 30
LEFT JOIN customers c ON other % 20 = 0 AND c.customer = (other / 20) % 2000
ORDER BY i;

INSERT INTO rollups
SELECT ('x' || substr(replace(attempt::text, '-', ''), 1, 12))::bit(48)::bigint / 86400000 AS day,
    caller, COALESCE(team, 0), COALESCE(user_name, 0), COALESCE(organization, 0), COALESCE(project, 0),
    COALESCE(customer, 0), COALESCE(tags, 0), model_group, provider, model,
    COUNT(*) FILTER (WHERE ending = 0), COUNT(*) FILTER (WHERE ending <> 0),
    SUM(input), SUM(output), COALESCE(SUM(cache_read), 0), 0, 0, SUM(cost)
FROM entries GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11;
