-- What a category goes on covering after its policies have gone: a JSON list of scopes.
ALTER TABLE access_categories ADD COLUMN once_covered TEXT NOT NULL DEFAULT '[]';
