package main

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	amapi "google.golang.org/api/androidmanagement/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
)

// signUp makes an enterprise, as an administrator who agrees in a browser.
func signUp(service *amapi.Service) string {
	begun := do(service.SignupUrls.Create().ProjectId(project).CallbackUrl("https://emm.example/cb"))
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Get(begun.Url)
	check(err)
	back, err := url.Parse(answer.Header.Get("Location"))
	check(err)
	create := service.Enterprises.Create(&amapi.Enterprise{EnterpriseDisplayName: "Droves"})
	create.ProjectId(project).SignupUrlName(begun.Name).EnterpriseToken(back.Query().Get("enterpriseToken"))
	return do(create).Name
}

// enrolled is a device of a policy.
func enrolled(service *amapi.Service, enterprise, policy, serial string) string {
	token := do(service.Enterprises.EnrollmentTokens.Create(enterprise, &amapi.EnrollmentToken{PolicyName: policy}))
	return device("enroll", what{"token": token.Value, "serial": serial}).text("name")
}

// management makes every call that the library has.
func management(url, key string) {
	service := android(url, key)
	enterprises := service.Enterprises
	name := signUp(service)
	demand(strings.HasPrefix(last.bearer, "Bearer ya29."), "the token is not the endpoint's: %s", last.bearer)
	second := do(enterprises.Create(&amapi.Enterprise{}).ProjectId(project).AgreementAccepted(true)).Name
	do(enterprises.GenerateEnterpriseUpgradeUrl(name, &amapi.GenerateEnterpriseUpgradeUrlRequest{}))
	pages := 0
	listed := enterprises.List().ProjectId(project).PageSize(1)
	check(listed.Pages(ctx, func(page *amapi.ListEnterprisesResponse) error {
		pages += len(page.Enterprises)
		return nil
	}))
	demand(pages == 2, "%d enterprises", pages)
	do(listed)
	do(enterprises.Delete(second))
	patched := do(enterprises.Patch(name, &amapi.Enterprise{PrimaryColor: 7}).UpdateMask("primaryColor"))
	demand(do(enterprises.Get(name)).PrimaryColor == 7 && patched.PrimaryColor == 7, "the colour")

	policies(enterprises.Policies, name)
	foreign(service, name)
	tokens(enterprises, name)
	apps(service, name)
	devices(service, name)
	missing := uncalled(service)
	demand(len(missing) == 0 && len(called) == 36, "%d calls, without %v", len(called), missing)
}

func policies(policies *amapi.EnterprisesPoliciesService, enterprise string) {
	name := enterprise + "/policies/p"
	demand(do(policies.Patch(name, &amapi.Policy{CameraDisabled: true})).Version == 1, "the first version")
	app := &amapi.ApplicationPolicy{PackageName: "com.example.a", InstallType: "FORCE_INSTALLED", MinimumVersionCode: 7}
	changes := []*amapi.ApplicationPolicyChange{{Application: app}}
	modified := do(policies.ModifyPolicyApplications(name, &amapi.ModifyPolicyApplicationsRequest{Changes: changes}))
	demand(modified.Policy.Version == 2 && modified.Policy.Applications[0].MinimumVersionCode == 7, "%+v", modified.Policy)
	gone := &amapi.RemovePolicyApplicationsRequest{PackageNames: []string{"com.example.a"}}
	demand(len(do(policies.RemovePolicyApplications(name, gone)).Policy.Applications) == 0, "the application stays")
	do(policies.Patch(enterprise+"/policies/q", &amapi.Policy{}))
	demand(len(do(policies.List(enterprise)).Policies) == 2, "two policies")
	do(policies.Delete(enterprise + "/policies/q"))
	demand(do(policies.Get(name)).Version == 3, "the third version")
}

// foreign reads a policy that another program has made, which spells its fields and numbers otherwise than the library.
func foreign(service *amapi.Service, enterprise string) {
	name := enterprise + "/policies/r"
	body := `{"maximum_time_to_lock": 60000, "minimumApiLevel": "28", "location_mode": 0, "stayOnPluggedModes": [1],
		"passwordRequirements": {"passwordMinimumLength": "8"}, "cameraDisabled": "true", "funDisabled": false}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, service.BasePath+"v1/"+name, strings.NewReader(body))
	check(err)
	request.Header.Set("Authorization", last.bearer)
	answer, err := http.DefaultClient.Do(request)
	check(err)
	demand(answer.StatusCode == 200, "%s", answer.Status)
	read := do(service.Enterprises.Policies.Get(name))
	demand(read.MaximumTimeToLock == 60000 && read.MinimumApiLevel == 28 && read.CameraDisabled, "%+v", read)
	demand(read.StayOnPluggedModes[0] == "AC" && read.PasswordRequirements.PasswordMinimumLength == 8, "%+v", read)
	do(service.Enterprises.Policies.Delete(name))
}

func tokens(enterprises *amapi.EnterprisesService, enterprise string) {
	tokens := enterprises.EnrollmentTokens
	asked := &amapi.EnrollmentToken{Duration: "600s", AdditionalData: `{"a":"b"}`, OneTimeOnly: true}
	made := do(tokens.Create(enterprise, asked))
	demand(do(tokens.Get(made.Name)).Value == made.Value, "the token's value")
	demand(len(do(tokens.List(enterprise)).EnrollmentTokens) == 1, "one token")
	do(tokens.Delete(made.Name))
	migrations := enterprises.MigrationTokens
	migration := do(migrations.Create(enterprise, &amapi.MigrationToken{
		DeviceId: "d", UserId: "u", Policy: "p", ManagementMode: "FULLY_MANAGED", AdditionalData: "x",
	}))
	came := device("migrate", what{"token": migration.Value, "serial": "m"})
	demand(do(migrations.Get(migration.Name)).Device == came.text("name"), "the device of the migration")
	moved := do(enterprises.Devices.Get(came.text("name")))
	demand(moved.DpcMigrationInfo.PreviousDpc == "com.example.dpc" && moved.ManagementMode == "DEVICE_OWNER", "%+v", moved)
	demand(len(do(migrations.List(enterprise)).MigrationTokens) == 1, "one migration token")
	frame := &amapi.WebToken{ParentFrameUrl: "https://emm.example", EnabledFeatures: []string{"PLAY_SEARCH"}}
	demand(do(enterprises.WebTokens.Create(enterprise, frame)).Value != "", "the web token's value")
}

func apps(service *amapi.Service, enterprise string) {
	apps := service.Enterprises.WebApps
	app := do(apps.Create(enterprise, &amapi.WebApp{Title: "t", StartUrl: "https://a.example"}))
	again := do(apps.Patch(app.Name, &amapi.WebApp{Title: "u"}).UpdateMask("title"))
	demand(app.VersionCode == 1 && again.VersionCode == 2 && again.StartUrl == app.StartUrl, "%+v", again)
	do(apps.Get(app.Name))
	do(apps.List(enterprise))
	do(apps.Delete(app.Name))
	do(service.Enterprises.Applications.Get(enterprise + "/applications/com.example.app"))
	info := device("provision", what{"info": what{"brand": "Droves", "apiLevel": 34}}).text("name")
	demand(do(service.ProvisioningInfo.Get(info)).ApiLevel == 34, "the API level")
}

func devices(service *amapi.Service, enterprise string) {
	devices := service.Enterprises.Devices
	var names []string
	for _, serial := range strings.Fields("a b c d e f g h i j k l") {
		names = append(names, enrolled(service, enterprise, "p", serial))
	}
	var paged []string
	check(devices.List(enterprise).PageSize(5).Pages(ctx, func(page *amapi.ListDevicesResponse) error {
		for _, of := range page.Devices {
			paged = append(paged, of.Name)
		}
		return nil
	}))
	slices.Sort(names)
	slices.Sort(paged)
	demand(len(paged) == 13 && len(slices.Compact(paged)) == 13, "twelve that enrolled, and one that moved: %v", paged)
	demand(len(do(devices.List(enterprise).Fields("devices/name")).Devices) == 10, "a page has ten")
	one := names[0]
	report := what{"policyCompliant": true, "userName": enterprise + "/users/1", "securityPosture": what{"devicePosture": "SECURE"}}
	device("report", what{"device": one, "applied": 3, "report": report})
	demand(do(devices.Get(one)).AppliedPolicyVersion == 3, "the version that is applied")
	disabled := do(devices.Patch(one, &amapi.Device{State: "DISABLED"}).UpdateMask("state"))
	demand(disabled.State == "DISABLED" && disabled.AppliedState == "ACTIVE", "%s, %s", disabled.State, disabled.AppliedState)
	first := do(devices.IssueCommand(one, &amapi.Command{Type: "LOCK", Duration: "60s"}))
	demand(command(first.Metadata).Duration == "60s" && !first.Done, "%s", first.Metadata)
	other := do(devices.IssueCommand(one, &amapi.Command{ClearAppsDataParams: &amapi.ClearAppsDataParams{PackageNames: []string{"a.b"}}}))
	device("done", what{"operation": first.Name})
	demand(do(devices.Operations.Get(first.Name)).Done, "the lock")
	do(devices.Operations.Cancel(other.Name))
	demand(do(devices.Operations.Get(other.Name)).Error.Code == 1, "cancelled")
	demand(len(do(devices.Operations.List(one+"/operations")).Operations) == 2, "two operations")
	do(devices.Delete(one).WipeDataFlags("WIPE_EXTERNAL_STORAGE").WipeReasonMessage("gone"))
}

// refused demands an error of this number and status, and gives it.
func refused(code int, status string, err error) *googleapi.Error {
	var said *googleapi.Error
	if !errors.As(err, &said) || said.Code != code || !strings.Contains(said.Body, status) {
		fail(2, "%d %s was expected, not %v", code, status, err)
	}
	return said
}

// refusals are errors as the library reads them: those that a caller earns, and those that are on order.
func refusals(url, key string) {
	service := android(url, key)
	enterprise := signUp(service)
	policies, devices := service.Enterprises.Policies, service.Enterprises.Devices
	_, err := devices.Get(enterprise + "/devices/0").Do()
	refused(404, "NOT_FOUND", err)
	rules := []*amapi.PolicyEnforcementRule{{SettingName: "x"}}
	_, err = policies.Patch(enterprise+"/policies/p", &amapi.Policy{PolicyEnforcementRules: rules}).Do()
	bad := refused(400, "INVALID_ARGUMENT", err)
	demand(len(bad.Details) == 1, "which field it is: %v", bad.Details)
	_, err = service.Enterprises.Get("enterprises/LC00000000").Do()
	refused(403, "PERMISSION_DENIED", err)
	stranger, err := amapi.NewService(ctx, option.WithoutAuthentication(), option.WithEndpoint(url+"/"))
	check(err)
	_, err = stranger.Enterprises.Get(enterprise).Do()
	refused(401, "UNAUTHENTICATED", err)

	struck := func(fault string) error {
		device("fault", what{"fault": fault, "about": []string{"enterprises.get"}, "nth": 1})
		_, err := service.Enterprises.Get(enterprise).Do()
		do(service.Enterprises.Get(enterprise))
		return err
	}
	quota := refused(429, "RATE_LIMIT_EXCEEDED", struck("quota"))
	demand(strings.HasPrefix(quota.Message, "Quota exceeded for quota metric 'Requests'"), "%s", quota.Message)
	demand(refused(500, "INTERNAL", struck("quota_as_internal")).Message == quota.Message, "the same words")
	refused(500, "INTERNAL", struck("internal"))
	refused(503, "UNAVAILABLE", struck("unavailable"))
	demand(googleapi.IsNotModified(struck("not_modified")), "304")
	check(struck("slow"))
}
