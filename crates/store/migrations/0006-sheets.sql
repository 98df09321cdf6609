CREATE TABLE sheets (
    sheet SMALLINT NOT NULL,
    day INTEGER NOT NULL,
    name INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    model INTEGER NOT NULL,
    succeeded BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    input BIGINT NOT NULL,
    output BIGINT NOT NULL,
    cache_read BIGINT NOT NULL,
    cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    PRIMARY KEY (sheet, day, name, provider, model)
){rowless};
INSERT INTO sheets SELECT 1, day, organization, 0, 0,
    SUM(succeeded), SUM(failed), SUM(input), SUM(output), SUM(cache_read), SUM(cache_write), SUM(reasoning), SUM(cost)
    FROM rollups GROUP BY day, organization ORDER BY day, organization;
INSERT INTO sheets SELECT 2, day, project, 0, 0,
    SUM(succeeded), SUM(failed), SUM(input), SUM(output), SUM(cache_read), SUM(cache_write), SUM(reasoning), SUM(cost)
    FROM rollups GROUP BY day, project ORDER BY day, project;
INSERT INTO sheets SELECT 3, day, team, 0, 0,
    SUM(succeeded), SUM(failed), SUM(input), SUM(output), SUM(cache_read), SUM(cache_write), SUM(reasoning), SUM(cost)
    FROM rollups GROUP BY day, team ORDER BY day, team;
INSERT INTO sheets SELECT 4, day, tags, 0, 0,
    SUM(succeeded), SUM(failed), SUM(input), SUM(output), SUM(cache_read), SUM(cache_write), SUM(reasoning), SUM(cost)
    FROM rollups GROUP BY day, tags ORDER BY day, tags;
INSERT INTO sheets SELECT 5, day, model_group, provider, model,
    SUM(succeeded), SUM(failed), SUM(input), SUM(output), SUM(cache_read), SUM(cache_write), SUM(reasoning), SUM(cost)
    FROM rollups GROUP BY day, model_group, provider, model ORDER BY day, model_group, provider, model;
INSERT INTO sheets SELECT 6, day, user_name, 0, 0,
    SUM(succeeded), SUM(failed), SUM(input), SUM(output), SUM(cache_read), SUM(cache_write), SUM(reasoning), SUM(cost)
    FROM rollups GROUP BY day, user_name ORDER BY day, user_name;
INSERT INTO sheets SELECT 7, day, caller, 0, 0,
    SUM(succeeded), SUM(failed), SUM(input), SUM(output), SUM(cache_read), SUM(cache_write), SUM(reasoning), SUM(cost)
    FROM rollups GROUP BY day, caller ORDER BY day, caller;
INSERT INTO sheets SELECT 8, day, customer, 0, 0,
    SUM(succeeded), SUM(failed), SUM(input), SUM(output), SUM(cache_read), SUM(cache_write), SUM(reasoning), SUM(cost)
    FROM rollups GROUP BY day, customer ORDER BY day, customer;
