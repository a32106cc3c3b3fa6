"""What only we know of our API: a member without permissions may do nothing that takes one."""

import os

import schemathesis


@schemathesis.check
def permission_is_taken(ctx, response, case):
    """Nothing in a workspace that is described to take a permission succeeds without any."""
    if not os.environ.get("SYNCGUARD_WITHOUT_PERMISSIONS"):
        return
    operation = case.operation
    permission = operation.definition.raw.get("x-permission")
    if permission and operation.path.startswith("/api/v1/workspaces/{id}"):
        assert response.status_code >= 300, f"{response.status_code} without {permission}"
